"""Proposes local reference levels and typical values from stored exams, and makes an approved proposal an edition."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from dose_audit.audit.quantities import quantity_named
from dose_audit.audit.values import Values, read_values
from dose_audit.texts import counted, named_role

if TYPE_CHECKING:
    from dose_audit.config import Settings
    from dose_audit.drl import LocalValue

__all__ = ["ProposalError", "approve_levels", "propose_levels", "proposed_values"]

KINDS = ("typical", "local")


class ProposalError(ValueError):
    """A proposal that cannot be made or approved, and why."""


def propose_levels(
    settings: Settings,
    *,
    kind: str,
    set_id: str,
    site: str = "",
    since: date,
    until: date,
    proposed_by: str,
    now: dt.datetime | None = None,
) -> tuple[str, list[LocalValue]]:
    """Work out levels from a period and keep them as a proposal.

    Parameters
    ----------
    settings : Settings
    kind : str
        ``typical`` (needs a site) or ``local``.
    set_id : str
        Name of the set, lower-case words joined by hyphens.
    site : str
        The one site of typical values; all sites' rooms for local levels where empty.
    since, until : date
        Study dates, both included.
    proposed_by : str
        By role.
    now : datetime, optional

    Returns
    -------
    edition : str
        Named after the day.
    values : list of LocalValue
        Those with too few exams or rooms have no value and say so; they are not part of the edition.

    Raises
    ------
    ProposalError
        Nothing can be proposed, or the name is taken.
    """
    from dose_audit.audit.engine import open_store
    from dose_audit.audit.mapping import stored_mapping
    from dose_audit.audit.nightly import load_registry
    from dose_audit.drl import read_examinations
    from dose_audit.drl.local import rows_csv, rows_sha256
    from dose_audit.drl.tables import SLUG
    from dose_audit.store.settings import prepare

    if kind not in KINDS or (kind == "typical" and not site):
        raise ProposalError("kind is typical, with the one site it is for, or local")
    if not SLUG.fullmatch(set_id):
        raise ProposalError(f"{set_id!r}: a set is named in lower-case words joined by hyphens")
    proposed_by = named_role(proposed_by)
    prepare(settings)
    from dose_audit.store.models import LocalEdition

    _refuse_taken_name(set_id, kind, site)
    moment = now or dt.datetime.now(dt.UTC)
    edition = moment.date().isoformat()
    mapping, registry, examinations = stored_mapping(), load_registry(settings), read_examinations()
    with open_store(settings) as engine:
        table = read_values(
            engine, registry, mapping.table, examinations, since=since, until=until, view="then", now=moment.date()
        )
    values = proposed_values(table, kind=kind, site=site)
    if not any(value.value is not None for value in values):
        reasons = sorted({value.reason for value in values}) or ["no mapped exam in the period"]
        raise ProposalError(f"nothing can be proposed: {'; '.join(reasons[:3])}")
    text = rows_csv(
        values,
        {slug: one.modality for slug, one in examinations.items()},
        {slug: one.default_basis for slug, one in examinations.items()},
    )
    held = LocalEdition.objects.filter(set_id=set_id, edition=edition).first()
    if held is not None and held.state == "approved":
        raise ProposalError(f"{set_id} {edition} is approved already; an approved edition never changes")
    LocalEdition.objects.update_or_create(
        set_id=set_id,
        edition=edition,
        defaults={
            "kind": kind,
            "state": "proposed",
            "site": site,
            "rows": text.splitlines(),
            "computed_from": {
                "since": since.isoformat(),
                "until": until.isoformat(),
                "mapping_version": mapping.version,
                "values": len(table.columns),
                "adult_from_years": min((s.adult_from_years for s in registry.sets), default=18.0),
            },
            "proposed_by": proposed_by,
            "proposed_at": moment.astimezone(),
            "rows_sha256": rows_sha256(text),
        },
    )
    return edition, values


def _refuse_taken_name(set_id: str, kind: str, site: str) -> None:
    """A set is one thing: the newest edition of a name answers in the place of every other."""
    from dose_audit.drl.registry import NAME_TAKEN
    from dose_audit.drl.tables import edition_folders, tables_root
    from dose_audit.store.models import LocalEdition

    if set_id in {folder.parent.name for folder in edition_folders(tables_root())}:
        raise ProposalError(NAME_TAKEN.format(set_id))
    other = LocalEdition.objects.filter(set_id=set_id).exclude(kind=kind, site=site).first()
    if other is not None:
        words = f"typical values of {other.site}" if other.kind == "typical" else "local levels over all rooms"
        raise ProposalError(f"{set_id} is the name of {words}: give these a name of their own")


def proposed_values(table: Values, *, kind: str, site: str = "") -> list[LocalValue]:
    """Typical values of one site, or local levels over the rooms of all, for every cell of a table of values.

    Children's values are worked out only in the bands of a loaded set: a band of nobody's is no band.
    """
    from dose_audit.drl import find_quantity, local_level, typical_value

    columns = table.columns
    mask = table.compared if not site else table.compared & (columns["site"] == site)
    cells: dict[tuple[str, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in np.flatnonzero(mask).tolist():
        place = _place(table, row)
        if place is not None:
            room = f"{columns['site'][row]}\x1f{columns['equipment'][row]}"
            cells[place][room].append(row)
    found = []
    for place, rooms in sorted(cells.items()):
        modality, quantity_name, *words = place
        quantity = quantity_named(quantity_name, modality)
        if quantity is None:
            raise AssertionError("a value row has a quantity of its modality")
        symbol = find_quantity(quantity.drl_name)
        names = ("examination", "patient_group", "band_type", "band_low", "band_high", "band_unit", "phantom")
        facts = dict(zip(names, words, strict=True)) | {"quantity": symbol.symbol, "unit": symbol.unit}
        doses = {room: columns["value"][rows] for room, rows in rooms.items()}
        if kind == "typical":
            together = np.concatenate(list(doses.values()))
            found.append(typical_value(together, modality, facts["patient_group"], facts))
        else:
            found.append(local_level(doses, modality, facts["patient_group"], facts))
    return _of_one_phantom(found)


def _of_one_phantom(values: list[LocalValue]) -> list[LocalValue]:
    """The values without one of exams that name no phantom where others do: both would answer for the same exams."""
    known = {_but_phantom(value) for value in values if value.phantom and value.value is not None}
    return [
        replace(
            value, value=None, status="PHANTOM_NOT_REPORTED", reason=_NO_PHANTOM.format(exams=counted(value.n, "exam"))
        )
        if not value.phantom and value.value is not None and _but_phantom(value) in known
        else value
        for value in values
    ]


_NO_PHANTOM = "{exams} without a reported dosimetry phantom; those that have one give the level"


def _but_phantom(value: LocalValue) -> tuple[str, ...]:
    names = ("examination", "quantity", "patient_group", "band_type", "band_low", "band_high", "band_unit")
    return tuple(getattr(value, name) for name in names)


def approve_levels(
    settings: Settings,
    set_id: str,
    edition: str,
    *,
    approved_by: str,
    valid_from: date,
    now: dt.datetime | None = None,
) -> str:
    """Approve a proposal: its rows become an edition on disk that runs can choose by naming the set in ``drl_sets``.

    Returns
    -------
    str
        Folder of the edition.

    Raises
    ------
    ProposalError
        No such proposal, nobody approves it, or it is approved already.
    """
    from dose_audit.drl.local import rows_sha256, set_toml, write_edition
    from dose_audit.store.settings import prepare

    approved_by = named_role(approved_by)
    prepare(settings)
    from django.db import transaction

    from dose_audit.store.models import LocalEdition

    moment = (now or dt.datetime.now(dt.UTC)).astimezone()
    with transaction.atomic():
        row = LocalEdition.objects.select_for_update().filter(set_id=set_id, edition=edition).first()
        if row is not None:
            _refuse_taken_name(set_id, row.kind, row.site)
        if row is None:
            raise ProposalError(f"no proposal {set_id} {edition}; dose-audit drl list shows them")
        if row.state == "approved":
            raise ProposalError(f"{set_id} {edition} was approved by {row.approved_by} on {row.approved_at:%Y-%m-%d}")
        text = "\n".join(row.rows) + "\n"
        if rows_sha256(text) != row.rows_sha256:
            raise ProposalError(f"{set_id} {edition}: the stored rows are not those that were proposed")
        row.state, row.approved_by, row.approved_at, row.valid_from = (
            "approved",
            approved_by,
            moment,
            valid_from,
        )
        row.save()
        facts: dict[str, Any] = row.computed_from
        toml = set_toml(
            set_id=set_id,
            edition=edition,
            kind=row.kind,
            site=row.site if row.kind == "typical" else "",
            network=settings.network_name,
            adult_from_years=float(facts["adult_from_years"]),
            approved_by=row.approved_by,
            approved_on=moment.date(),
            valid_from=valid_from,
            source_sha256=row.rows_sha256,
            notes=(
                f"Computed from exams of {facts['since']} to {facts['until']}, exam mapping version "
                f"{facts['mapping_version']}; proposed by {row.proposed_by} on {row.proposed_at:%Y-%m-%d}."
            ),
        )
        return str(write_edition(settings.local_drl_dir, set_id, edition, toml, text))


def _place(table: Values, row: int) -> tuple[str, ...] | None:
    """Modality, quantity, and what a row of ``rows.csv`` says of examination, patients and phantom."""
    columns = table.columns
    match = table.references.matches[table.references.index[row]]
    phantom = columns["phantom"][row] or ""
    kind: tuple[str, str, str, str, str]
    if match.row is not None and match.row.band.type != "none":
        band = match.row.band
        ends = tuple("" if end is None else f"{end:g}" for end in (band.low, band.high))
        kind = (match.row.patient_group, band.type, *ends, band.unit)  # type: ignore[assignment]
    elif table.band[row] == "adult":
        kind = ("adult", "none", "", "", "")
    else:
        return None
    return (columns["modality"][row], columns["quantity"][row], columns["examination"][row], *kind, phantom)
