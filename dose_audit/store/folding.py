"""Slices in the store: folded into one of their series as they come, so that a further one costs the same each time.

Every slice keeps its own record. One slice of an acquisition, the *carrier*, holds beside its own what all of them
add up to, so that neither reading a study nor merging it looks at the others again. Only what cannot be added is
read anew, from the slices' own records: another version of a slice, or a slice that is read a second time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from dose_audit.extract.exam import Exam
from dose_audit.extract.records import from_record
from dose_audit.extract.slices import fold_parts, slice_key
from dose_audit.store.compact import load_record, record_text
from dose_audit.store.parts import COUNTING, NEWEST, Part

__all__ = ["SLICE", "Member", "mark_superseded", "members_of", "needs_every_slice"]

SLICE = "slice"
"""Kind of a received image that another image of its acquisition speaks for."""

_FOLDED = '{"folded":'  # how the text of a carrier begins
_TOLD = "other objects of the study tell all its events"
_FIRST = attrgetter("received_at", "sop", "sha256")


@dataclass(slots=True)
class Member:
    """What is merged as one: an object, or all slices of one acquisition.

    Attributes
    ----------
    exam : Exam
        What it says.
    parts : list of Part
        The objects behind it that were looked at: all, or the carrier and the new slices.
    sop : str
        SOP Instance UID under which its events are told.
    received_at, site : str, str or None
        Of the first that came, and of the first that names a site.
    newest : list of str
        SOP Instance UIDs of slices that replaced an older version.
    of_slices : bool
        Whether it can grow by further slices.
    """

    exam: Exam
    parts: list[Part]
    received_at: str
    sop: str = ""
    site: str | None = None
    newest: list[str] = field(default_factory=list)
    of_slices: bool = False


def needs_every_slice(batch: Iterable[Part], known: Iterable[Part]) -> bool:
    """Whether a batch changes slices that were folded: another version of one, or one that is read again.

    Parameters
    ----------
    batch : iterable of Part
        What came.
    known : iterable of Part
        What the store has under the same SOP Instance UIDs, at least.
    """
    folded: dict[str, list[Part]] = {}
    for part in known:
        if part.kind == SLICE or (part.text or "").startswith(_FOLDED):
            folded.setdefault(part.sop, []).append(part)
    for part in batch:
        for row in folded.get(part.sop, ()):
            copied = row.sha256 == part.sha256 and row.spool_id != part.spool_id
            if not (copied and row.state in (*COUNTING, "conflict", part.state)):
                return True
    return False


def members_of(parts: Sequence[Part], *, every_slice: bool) -> list[Member]:
    """The members of a study, its slices folded; the carriers' texts and the slices' kinds are set.

    Parameters
    ----------
    parts : sequence of Part
        The study's counting objects: without `every_slice` those of the store that are no folded slices, and what is
        new.
    every_slice : bool
        Whether all slices are there, so that they are folded anew.

    Returns
    -------
    list of Member
        In the order in which the first of each came.
    """
    members: list[Member] = []
    series: dict[Any, list[tuple[Part, Exam, dict[str, Any] | None]]] = {}
    for part in sorted(parts, key=_FIRST):
        own, folded = _opened(part)
        exam = own if every_slice or folded is None else from_record(folded["exam"])
        key = slice_key(exam)
        if key is None:
            newest = [part.sop] if part.reason == NEWEST else []
            members.append(Member(exam, [part], part.received_at, part.sop, part.site, newest))
        else:
            series.setdefault(key, []).append((part, exam, None if every_slice else folded))
    members += [_folded(slices) for slices in series.values()]
    return sorted(members, key=lambda member: (member.received_at, member.sop))


def mark_superseded(members: Sequence[Member], brought: Sequence[tuple[bool, str | None]], exam: Exam) -> None:
    """An object that has events of which the merged exam takes none from it is superseded.

    Parameters
    ----------
    members : sequence of Member
        What was merged.
    brought : sequence of (bool, str or None)
        Of each, before it was merged, whether it had events, and its series.
    exam : Exam
        The merged exam.

    Notes
    -----
    Images of one series speak for each other: the slices of a CT are one event, and it names one slice.
    """
    tellers = {event.source_sop_instance_uid for event in exam.events}
    if None in tellers:
        return  # an event without its source could be anybody's
    told_series = {
        series
        for member, (_, series) in zip(members, brought, strict=True)
        if _is_image(member) and member.sop in tellers
    } - {None}
    for member, (events, series) in zip(members, brought, strict=True):
        tells = member.sop in tellers or (_is_image(member) and series in told_series)
        for part in member.parts:
            if events and not tells:
                part.state, part.reason = "superseded", _TOLD
            elif part.state == "superseded":
                part.state, part.reason = "extracted", None


def _is_image(member: Member) -> bool:
    return member.parts[0].kind in ("image", SLICE)


def _opened(part: Part) -> tuple[Exam, dict[str, Any] | None]:
    """What an object says, and what it carries for its acquisition."""
    if part.exam is not None:
        return part.exam, None
    record = load_record(part.text or "{}")
    folded = record.pop("folded", None)
    return from_record(record), folded


def _folded(slices: list[tuple[Part, Exam, dict[str, Any] | None]]) -> Member:
    """Fold slices, in the order in which they came; a first that has been folded before stays the carrier."""
    parts = [part for part, _, _ in slices]
    carrier = next((part for part, _, folded in slices if folded), parts[0])
    received: list[str] = []
    sites: list[str | None] = []
    newest: list[str] = []
    whole: Exam | None = None
    for part, exam, folded in slices:
        whole = exam if whole is None else fold_parts(whole, exam)
        received.append(folded["received_at"] if folded else part.received_at)
        sites.append(folded["site"] if folded else part.site)
        newest += folded["newest"] if folded else [part.sop] if part.reason == NEWEST else []
    assert whole is not None
    for part in parts:
        part.kind = "image" if part is carrier else SLICE
        if part is not carrier:
            _carry(part, None)
    source = whole.sources[0].sop_instance_uid or carrier.sop
    member = Member(whole, parts, min(received), source, next(filter(None, sites), None), sorted(set(newest)), True)
    _carry(carrier, member if len(parts) > 1 or any(folded for _, _, folded in slices) else None)
    return member


def _carry(part: Part, member: Member | None) -> None:
    """Set what a slice's text holds for its acquisition, or that it holds nothing."""
    text = part.text or "{}"
    if text.startswith(_FOLDED):
        own = json.loads(text)
        del own["folded"]
        text = json.dumps(own, separators=(",", ":"))
    if member is not None:
        told = json.dumps(
            {"received_at": member.received_at, "site": member.site, "newest": member.newest}, separators=(",", ":")
        )
        text = f'{_FOLDED}{told[:-1]},"exam":{record_text(member.exam)}}},{text[1:]}'
    if text != part.text:
        part.text, part.rewritten = text, True
