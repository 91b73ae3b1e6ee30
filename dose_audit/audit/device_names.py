"""Names that tell the devices of a report apart, of which two may bear one display name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Device", "device_of", "devices_of", "name_devices_apart", "twins_among", "with_devices"]

_BETWEEN, _NOTHING = "\x1f", "\x1e"

Device = tuple[str | None, str | None, int | None]
"""Site, display name and number of a device."""


def devices_of(table: pa.Table) -> list[Device]:
    """Every device of a table with `site`, `equipment` and `equipment_id`."""
    rows = table.group_by(["site", "equipment", "equipment_id"]).aggregate([]).to_pylist()
    return [(row["site"], row["equipment"], row["equipment_id"]) for row in rows]


def twins_among(devices: Iterable[Device]) -> set[int]:
    """Numbers of those that share site and display name with another.

    >>> sorted(twins_among([("N", "CT", 1), ("N", "CT", 2), ("S", "CT", 3)]))
    [1, 2]
    """
    devices = list(devices)
    shared = Counter((site, name) for site, name, _ in devices)
    return {number for site, name, number in devices if shared[site, name] > 1 and number is not None}


def name_devices_apart(table: pa.Table, twins: set[int] | None = None) -> pa.Table:
    """Give two devices of one site that bear the same display name their number behind it.

    Parameters
    ----------
    table : pyarrow.Table
    twins : set of int, optional
        Devices that share their name, in this table or another; those of this one by default.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    twins = twins_among(devices_of(table)) if twins is None else twins
    column = table.column("equipment")
    if not twins and not column.null_count:
        return table
    named = pc.fill_null(column.cast(pa.string()), "Unnamed device")
    if twins:
        ids = table.column("equipment_id")
        numbered = pc.binary_join_element_wise(named, ids.cast(pa.string()), " #")
        named = pc.if_else(pc.is_in(ids, value_set=pa.array(sorted(twins), ids.type)), numbered, named)
    named = named.dictionary_encode() if pa.types.is_dictionary(column.type) else named
    return table.set_column(table.schema.get_field_index("equipment"), "equipment", named)


def with_devices(table: pa.Table) -> pa.Table:
    """A table with ``device``: site, display name and number as one text, see `device_of`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [pc.fill_null(table[name].cast(pa.string()), _NOTHING) for name in ("site", "equipment", "equipment_id")]
    return table.append_column("device", pc.binary_join_element_wise(*parts, _BETWEEN).dictionary_encode())


def device_of(text: str) -> Device:
    """The device that a text of `with_devices` stands for.

    >>> device_of("North\x1fCT 1\x1f7")
    ('North', 'CT 1', 7)
    """
    rest, _, number = text.rpartition(_BETWEEN)
    site, _, name = rest.partition(_BETWEEN)  # a display name may hold anything
    return (_or_none(site), _or_none(name), None if number == _NOTHING else int(number))


def _or_none(part: str) -> str | None:
    return None if part == _NOTHING else part
