"""The equipment register: where each device stands from when, its name, and what kind of exam it makes."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from dose_audit.csv_rows import csv_rows
from dose_audit.store.compact import clean_text
from dose_audit.store.devices import site_on, sites_in_force
from dose_audit.store.models import Equipment, EquipmentSite, Exam, Site
from dose_audit.texts import from_spreadsheet, one_line

__all__ = ["RegisterResult", "assign_sites", "import_register"]

COLUMNS = ("station_name", "serial_number", "site", "display_name", "modality", "since")
"""Columns of the register's CSV. ``site`` and one of the first two are needed; ``since`` is an ISO date or empty."""

_MAX_BYTES = 20 << 20
_MODALITY = re.compile(r"[A-Z]{2,8}")  # PS3.3 C.7.3.1.1.1: upper case; two letters, and a few longer


@dataclass(slots=True)
class RegisterResult:
    """What an import did, and each row that it refused with the reason."""

    devices: int = 0
    new_devices: int = 0
    moved_exams: int = 0
    unknown_columns: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def import_register(source: Path | str) -> RegisterResult:
    """Read a register CSV into the store, and give every exam of its devices the site that now holds.

    Parameters
    ----------
    source : Path or str
        File, or the CSV text itself. Header row with `COLUMNS`, in any order and case; other columns are named in the
        result and not used.

    Returns
    -------
    RegisterResult
        A row that names no site, no device, more than one device, another site than a row before it, no modality or a
        wrong date is refused with its number; the others count. Importing the same file again changes nothing.

    Raises
    ------
    ValueError
        No CSV with these columns, or larger than 20 MiB.
    """
    rows = csv_rows(source.encode() if isinstance(source, str) else source, max_bytes=_MAX_BYTES)
    headings = [_folded(cell) for cell in next(rows, (1, None))[1] or ()]
    if "site" not in headings or not {"station_name", "serial_number"} & set(headings):
        found = ", ".join(one_line(heading) for heading in headings) or "nothing"
        raise ValueError(f"an equipment register has the columns {', '.join(COLUMNS)}; found {found:.500}")
    result = RegisterResult(unknown_columns=[one_line(name) for name in headings if name and name not in COLUMNS])
    placed: dict[tuple[int, dt.date | None], tuple[int, str]] = {}
    with transaction.atomic():
        for number, cells in rows:
            if cells is None:
                reason: str | None = "no row of a CSV"
            elif len(cells) > len(headings):
                reason = f"{len(cells)} cells under {len(headings)} headings"
            else:
                reason = _import_row(number, dict(zip(headings, cells, strict=False)), placed, result)
            if reason:
                result.refused.append((number, reason))
        touched = {device for device, _ in placed}
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


def _import_row(
    number: int, row: dict[str, str], placed: dict[tuple[int, dt.date | None], tuple[int, str]], result: RegisterResult
) -> str | None:
    """Put one row into the store, or say why not; `placed` holds the row and site that each device has from a day."""
    texts = {name: clean_text(one_line(from_spreadsheet(row.get(name, "").strip())), 200) for name in COLUMNS}
    if not texts["site"]:
        return "no site"
    if not texts["station_name"] and not texts["serial_number"]:
        return "neither station name nor serial number"
    if texts["modality"] and not _MODALITY.fullmatch(texts["modality"]):
        return "modality is none of DICOM's, as CT, RF, XA, DX, MG or NM"
    try:
        since = dt.date.fromisoformat(texts["since"]) if texts["since"] else None
    except ValueError:
        return "since is no ISO date (YYYY-MM-DD)"
    wanted = {f"{name}__iexact": texts[name] for name in ("station_name", "serial_number") if texts[name]}
    matches = list(Equipment.objects.filter(**wanted)[:2])
    if len(matches) > 1:
        return "more than one device answers to it; give station name and serial number"
    device = matches[0] if matches else None
    if device is not None and (before := placed.get((device.pk, since))) and before[1] != texts["site"]:
        return f"row {before[0]} puts this device at another site from the same day"
    if device is None:
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
    placed.setdefault((device.pk, since), (number, site.name))
    return None


def _folded(heading: str) -> str:
    return re.sub(r"[\s_-]+", "_", heading.strip().lower())
