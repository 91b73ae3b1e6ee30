"""Finds the device that an exam names, makes it on first sight, and says where it stood on a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from dose_audit.extract.exam import Equipment as SeenEquipment
from dose_audit.store.compact import clean_text
from dose_audit.store.models import (
    UNASSIGNED,
    Equipment,
    EquipmentIdentity,
    EquipmentSite,
    EquipmentSoftware,
    Site,
)
from dose_audit.texts import one_line

__all__ = ["Devices", "UnknownDevice", "equipment_named", "identity_keys", "site_on", "sites_in_force"]

_LISTED = 20
_LONGEST_NAME = 128
"""Manufacturer and model, 64 characters each."""


class UnknownDevice(ValueError):
    """No device is called so, or several are; the message says which there are."""


_HEADER = ("manufacturer", "model_name", "serial_number", "station_name")


def identity_keys(seen: Any) -> tuple[str | None, str, bool]:
    """The ways in which a device names itself.

    Parameters
    ----------
    seen : object
        Anything with the attributes of the exam record's equipment.

    Returns
    -------
    observer : str or None
        Device Observer UID with model; None when the object has no such UID.
    header : str
        Manufacturer, model, serial number and station name, folded for case and spaces.
    strong : bool
        Whether the header holds a serial number, so that it alone tells one device from another of its model.

    Examples
    --------
    >>> identity_keys(SeenEquipment(manufacturer="ACME ", model_name="Scan 1", station_name="CT1"))
    (None, 'header:acme|scan 1||ct1', False)
    """
    texts = [" ".join((getattr(seen, name) or "").split()).casefold() for name in _HEADER]
    header = clean_text("header:" + "|".join(texts), 512) or ""
    uid = (seen.device_observer_uid or "").strip()
    observer = clean_text(f"uid:{uid}|{texts[1]}", 512) if uid else None
    return observer, header, bool(texts[2])


class Devices:
    """Equipment by identity, cached for one process.

    Notes
    -----
    A device is known by its observer UID with its model, or by its header texts. Both lead to the same row once one
    object carried both, so that image headers and dose reports of one scanner meet. Two observer UIDs behind the same
    header are one device when there is a serial number, two when there is none.
    """

    def __init__(self) -> None:
        self._by_keys: dict[tuple[str | None, str], int] = {}
        self._software: dict[tuple[int, str], str] = {}
        self._sites: dict[str, int] = {}

    def resolve(self, seen: SeenEquipment) -> int:
        """Id of the device that names itself so; made when it is new, never dropped."""
        observer, header, strong = identity_keys(seen)
        found = self._by_keys.get((observer, header))
        if found is None:
            for attempt in range(3):
                try:
                    with transaction.atomic():
                        found = _resolve(seen, observer, header, strong)
                    break
                except IntegrityError:  # another process met the same new device; its row is there now
                    if attempt == 2:
                        raise
            assert found is not None
            self._by_keys[(observer, header)] = found
        return found

    def note_software(self, seen: Iterable[tuple[int, str | None, str | None]]) -> None:
        """Keep each software version with the first study date that carried it: ``(equipment, version, date)``."""
        new: dict[tuple[int, str], str] = {}
        for equipment, version, day in seen:
            version = clean_text(version)
            if version is None:
                continue
            at = (equipment, version)
            best = min(filter(None, (day, new.get(at))), default="")
            known = self._software.get(at)
            if known is None or (best and (not known or best < known)):
                new[at] = best
        if not new:
            return
        table = EquipmentSoftware._meta.db_table
        sql = (
            f"INSERT INTO {table} (equipment_id, software_versions, first_study_date) VALUES (%s, %s, %s) "
            "ON CONFLICT (equipment_id, software_versions) DO UPDATE SET first_study_date = excluded.first_study_date "
            f"WHERE excluded.first_study_date IS NOT NULL AND ({table}.first_study_date IS NULL "
            f"OR excluded.first_study_date < {table}.first_study_date)"
        )
        with connection.cursor() as cursor:
            cursor.executemany(sql, [(*at, day or None) for at, day in sorted(new.items())])
        self._software.update(new)

    def site(self, name: str | None) -> int:
        """Id of a site by name, made when it is new; without a name the site *Unassigned*."""
        name = clean_text(name, 200) or UNASSIGNED
        found = self._sites.get(name)
        if found is None:
            found = self._sites[name] = Site.objects.get_or_create(name=name)[0].pk
        return found


def sites_in_force(equipment: Iterable[int]) -> dict[int, list[tuple[str, int]]]:
    """Registered sites of each device: ``(since, site id)``, the latest first; since ever is the empty text."""
    rows = EquipmentSite.objects.filter(equipment_id__in=set(equipment)).values_list("equipment_id", "since", "site_id")
    table: dict[int, list[tuple[str, int]]] = {}
    for device, since, site in rows:
        table.setdefault(device, []).append((since.isoformat() if since else "", site))
    for entries in table.values():
        entries.sort(reverse=True)
    return table


def site_on(entries: Sequence[tuple[str, int]], day: str | None) -> int | None:
    """Site in force on a day.

    Parameters
    ----------
    entries : sequence of (since, site id)
        Latest first, as `sites_in_force` gives them.
    day : str or None
        ISO date; an undated exam takes the latest site.

    Examples
    --------
    >>> site_on([("2024-06-01", 2), ("", 1)], "2024-05-31")
    1
    """
    for since, site in entries:
        if day is None or since <= day:
            return site
    return None


def _resolve(seen: SeenEquipment, observer: str | None, header: str, strong: bool) -> int:
    keys = [key for key in (observer, header) if key]
    known = dict(EquipmentIdentity.objects.filter(key__in=keys).values_list("key", "equipment_id"))
    if observer in known:
        equipment = known[observer]
    elif header in known and (strong or observer is None or not _has_observer(known[header])):
        equipment = known[header]
    else:
        equipment = _registered(seen) or _create(seen)
    EquipmentIdentity.objects.bulk_create(
        EquipmentIdentity(key=key, equipment_id=equipment) for key in keys if key not in known
    )
    return equipment


def _has_observer(equipment: int) -> bool:
    return EquipmentIdentity.objects.filter(equipment_id=equipment, key__startswith="uid:").exists()


def _registered(seen: SeenEquipment) -> int | None:
    """A device that a person registered by serial number or station name and that no object has named before."""
    waiting = Equipment.objects.filter(registered=True, identities__isnull=True)
    for name in ("serial_number", "station_name"):
        text = clean_text(getattr(seen, name))
        if text:
            matches = list(waiting.filter(**{f"{name}__iexact": text})[:2])
            if len(matches) == 1:
                device = matches[0]
                _fill(device, seen)
                device.save()
                return device.pk
    return None


def _create(seen: SeenEquipment) -> int:
    device = Equipment(display_name="")
    _fill(device, seen)
    device.display_name = _free_name(device)
    device.save()
    return device.pk


def _fill(device: Equipment, seen: SeenEquipment) -> None:
    for name in (*_HEADER, "device_observer_uid", "institution_name", "department"):
        if getattr(device, name) is None:
            setattr(device, name, clean_text(getattr(seen, name)))
    device.first_seen = device.first_seen or dt.datetime.now(dt.UTC)


def _free_name(device: Equipment) -> str:
    """Station name, else manufacturer and model; with the serial number, then a number, while that is taken."""
    words = device.station_name or " ".join(filter(None, (device.manufacturer, device.model_name)))
    plain = _name_of(words) or "Unknown device"
    candidates = [plain]
    if device.serial_number:
        candidates.append(f"{plain} ({_name_of(device.serial_number)})")
    taken = set(Equipment.objects.filter(display_name__startswith=plain).values_list("display_name", flat=True))
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    number = 2
    while f"{plain} #{number}" in taken:
        number += 1
    return f"{plain} #{number}"


def _name_of(words: str) -> str:
    """On one line, and no longer than DICOM lets a name be."""
    line = one_line(words).strip()
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"


def equipment_named(name: str) -> Equipment:
    """The device of this display name or station name, letter case ignored, or of this number (``7`` or ``#7``).

    Raises
    ------
    UnknownDevice
    """
    wanted = Q(display_name__iexact=name) | Q(station_name__iexact=name)
    number = name.removeprefix("#")
    if number.isdecimal() and len(number) < 19:  # what the database can hold
        wanted = Q(pk=int(number)) if name.startswith("#") else wanted | Q(pk=int(number))
    found = list(Equipment.objects.filter(wanted).order_by("pk"))
    if not found:
        known = sorted(Equipment.objects.values_list("display_name", flat=True))
        more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
        raise UnknownDevice(
            f"no device is called {name!r}; known are {', '.join(map(one_line, known[:_LISTED])) or 'none'}{more}"
        )
    if len(found) > 1:
        numbers = ", ".join(f"#{device.pk} ({one_line(device.display_name)})" for device in found)
        raise UnknownDevice(f"{len(found)} devices are called {name!r}; give a number: {numbers}")
    return found[0]
