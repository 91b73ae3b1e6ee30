"""The equipment register: where each device stands from when, its name, and what kind of exam it makes."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction

from dose_audit.store.compact import clean_text
from dose_audit.store.devices import site_on, sites_in_force
from dose_audit.store.models import Equipment, EquipmentSite, Exam, Site

__all__ = ["RegisterResult", "assign_sites", "import_register"]

COLUMNS = ("station_name", "serial_number", "site", "display_name", "modality", "since")
"""Columns of the register's CSV. ``site`` and one of the first two are needed; ``since`` is an ISO date or empty."""

_MAX_BYTES = 20_000_000


@dataclass(slots=True)
class RegisterResult:
    """What an import did, and each row that it refused with the reason."""

    devices: int = 0
    new_devices: int = 0
    moved_exams: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def import_register(source: Path | str) -> RegisterResult:
    """Read a register CSV into the store, and give every exam of its devices the site that now holds.

    Parameters
    ----------
    source : Path or str
        File, or the CSV text itself. Header row with `COLUMNS`, in any order; further columns are ignored.

    Returns
    -------
    RegisterResult
        A row that names no site, no device, more than one device or a wrong date is refused with its line number; the
        others count. Importing the same file again changes nothing.

    Raises
    ------
    ValueError
        No CSV with these columns, or larger than 20 MB.
    """
    text = source if isinstance(source, str) else _read(source)
    table = csv.DictReader(io.StringIO(text))
    missing = {"site"} - set(table.fieldnames or ())
    if missing or not {"station_name", "serial_number"} & set(table.fieldnames or ()):
        raise ValueError(f"an equipment register has the columns {', '.join(COLUMNS)}; found {table.fieldnames}")
    result = RegisterResult()
    touched: set[int] = set()
    with transaction.atomic():
        for line, row in enumerate(table, start=2):
            reason = _import_row(row, touched, result)
            if reason:
                result.refused.append((line, reason))
        result.devices = len(touched)
        result.moved_exams = assign_sites(touched)
    return result


def assign_sites(equipment: set[int]) -> int:
    """Give the exams of these devices the registered site of their day; returns how many changed."""
    registered = sites_in_force(equipment)
    moved = []
    exams = Exam.objects.filter(equipment_id__in=equipment).only("id", "site_id", "equipment_id", "study_date")
    for exam in exams.iterator(chunk_size=2000):
        day = exam.study_date.isoformat() if exam.study_date else None
        site = site_on(registered.get(exam.equipment_id, ()), day)
        if site is not None and site != exam.site_id:
            exam.site_id = site
            exam.updated_at = dt.datetime.now(dt.UTC)
            moved.append(exam)
    Exam.objects.bulk_update(moved, ["site_id", "updated_at"], batch_size=200)
    return len(moved)


def _import_row(row: dict[str, Any], touched: set[int], result: RegisterResult) -> str | None:
    texts = {name: clean_text((row.get(name) or "").strip(), 200) for name in COLUMNS}
    if not texts["site"]:
        return "no site"
    if not texts["station_name"] and not texts["serial_number"]:
        return "neither station name nor serial number"
    try:
        since = dt.date.fromisoformat(texts["since"]) if texts["since"] else None
    except ValueError:
        return "since is no ISO date (YYYY-MM-DD)"
    wanted = {f"{name}__iexact": texts[name] for name in ("station_name", "serial_number") if texts[name]}
    matches = list(Equipment.objects.filter(**wanted)[:2])
    if len(matches) > 1:
        return "more than one device answers to it; give station name and serial number"
    if matches:
        device = matches[0]
    else:
        device = Equipment(station_name=texts["station_name"], serial_number=texts["serial_number"], display_name="")
        result.new_devices += 1
    device.registered = True
    device.display_name = (
        texts["display_name"] or device.display_name or texts["station_name"] or texts["serial_number"] or ""
    )
    device.modality_override = texts["modality"] or device.modality_override
    device.save()
    site = Site.objects.get_or_create(name=texts["site"])[0]
    EquipmentSite.objects.update_or_create(equipment=device, since=since, defaults={"site": site})
    touched.add(device.pk)
    return None


def _read(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {_MAX_BYTES // 1_000_000} MB; no equipment register is")
    return path.read_text("utf-8-sig")
