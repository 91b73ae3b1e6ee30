"""The answer before the evidence: what the run says of doses, image quality, open findings and coverage, in a sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dose_audit.audit.emptiness import JUDGED
from dose_audit.report.words import plural

__all__ = ["Line", "Tile", "few_told", "no_validity_told", "summary_lines", "summary_tiles"]


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of the answer; `tone` is ``ok``, ``check``, ``act`` or ``quiet``."""

    tone: str
    text: str

    @property
    def mark(self) -> str:
        """What stands for the tone without its colour."""
        return {"ok": "✓", "check": "◆", "act": "▲", "quiet": "·"}[self.tone]


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the answer."""

    number: int
    words: str
    tone: str = ""


def summary_lines(data: dict[str, Any]) -> list[Line]:
    """The answer, most important first: findings, doses, image quality, coverage.

    Parameters
    ----------
    data : dict
        Contents of ``report.json``.
    """
    return [_findings(data), _doses(data), _quality(data), _coverage(data)]


def summary_tiles(data: dict[str, Any]) -> list[Tile]:
    """Groups by verdict and phantom quantities by state; numbers that the run cannot have are left out."""
    verdicts = [row["verdict"] for row in data["comparisons"]]
    tiles = []
    if verdicts:
        tiles += [
            _tile(verdicts.count("ABOVE"), "group above its level", "groups above their level", "act"),
            _tile(verdicts.count("WITHIN"), "group within its level", "groups within their level", "ok"),
            Tile(verdicts.count("BELOW_P25_CHECK_IQ"), "unusually low: check images", "check"),
            _tile(verdicts.count("INSUFFICIENT_N"), "group with too few exams", "groups with too few exams"),
            _tile(verdicts.count("NO_DRL"), "group without a level", "groups without a level"),
        ]
    panel = data.get("image_quality")
    if panel:
        out, changed, well = _states(panel)
        tiles += [
            _tile(out, "phantom quantity out of tolerance", "phantom quantities out of tolerance", "act"),
            _tile(changed, "phantom quantity changed or in doubt", "phantom quantities changed or in doubt", "check"),
            _tile(well, "phantom quantity as it should be", "phantom quantities as they should be", "ok"),
        ]
    # None above is worth telling; none of the rest is not.
    return [tile for tile in tiles if tile.number or tile.tone in ("act", "ok")]


def _tile(count: int, one: str, many: str, tone: str = "") -> Tile:
    return Tile(count, one if count == 1 else many, tone)


def _findings(data: dict[str, Any]) -> Line:
    waiting = {"act": 0, "check": 0}
    acknowledged = 0
    for finding in data["findings"]:
        if finding["severity"] in waiting:
            if finding["state"] == "acknowledged":
                acknowledged += 1
            else:
                waiting[finding["severity"]] += 1
    known = f" {plural(acknowledged, 'finding is', 'findings are')} acknowledged." if acknowledged else ""
    if waiting["act"] or waiting["check"]:
        text = f"{plural(waiting['act'], 'finding')} to act on and {waiting['check']} to check."
        return Line("act" if waiting["act"] else "check", text + known)
    if data["run"].get("nothing_compared") and not data.get("image_quality"):
        return Line("check", f"No finding, and no all-clear: nothing was compared.{known}")
    return Line("ok", f"Nothing to act on.{known}")


def _doses(data: dict[str, Any]) -> Line:
    why = data["run"].get("nothing_compared")
    if why:
        tone = "quiet" if not data["completeness"]["in_period"] else "act"
        return Line(tone, f"Doses: {why}")
    judged = [row for row in data["comparisons"] if row["verdict"] in JUDGED]
    above = [row for row in judged if row["verdict"] == "ABOVE"]
    high = few_told(data["comparisons"])
    rest = f" {high}" if high else ""
    if not judged:
        return Line("check", f"Doses: no group could be held against a reference level.{rest}")
    if not above:
        tone = "check" if high else "ok"
        none = f"Doses: none of {plural(len(judged), 'group')} has a median above its reference level.{rest}"
        return Line(tone, none)
    shown = sum(row["evidence"] == "exceeds" for row in above)
    sure = "all of them" if shown == len(above) > 1 else "it" if shown == len(above) else f"{shown} of them"
    evidence = f"; chance alone does not explain {sure}" if shown else "; chance alone could explain it"
    return Line(
        "act" if shown else "check",
        f"Doses: {len(above)} of {plural(len(judged), 'group')} {'has' if len(above) == 1 else 'have'} a median above the "
        f"reference level{evidence}.{rest}",
    )


def few_told(rows: list[dict[str, Any]]) -> str:
    """Groups with too few exams for a verdict of which even the lower end of the interval lies above the level, in a sentence."""
    rows = [
        row
        for row in rows
        if row["verdict"] == "INSUFFICIENT_N" and row["drl"] and (row["ci_low"] or 0) > row["drl"]["value"]
    ]
    if not rows:
        return ""
    return (
        f"Too few exams for a verdict, but an interval wholly above the level: {plural(len(rows), 'group')}"
        f"{'' if len(rows) == 1 else ', among them'} ({rows[0]['equipment']}, {rows[0]['examination_name']})."
    )


def no_validity_told(rows: list[dict[str, Any]]) -> str:
    """Groups that have no level only because nobody knows from when the edition that has one applies, in a sentence or two."""
    told = [row for row in rows if _validity_not_known(row)]
    if not told:
        return ""
    reasons = "; ".join(sorted({row["reason"] for row in told}))
    groups = f"1 group of {len(rows)} has" if len(told) == 1 else f"{len(told)} of {plural(len(rows), 'group')} have"
    return f"{groups} no level only for want of a date: {reasons}. Once the date is known, earlier exams are compared as well."


def _validity_not_known(row: dict[str, Any]) -> bool:
    return "VALIDITY_NOT_KNOWN" in (row.get("flags") or ())


def _states(panel: dict[str, Any]) -> tuple[int, int, int]:
    """Phantom quantities out of tolerance, changed or in doubt, and neither."""
    out = sum(row["tolerance"] == "out" and row["state"] != "not_measured" for row in panel["states"])
    well = sum(row["tone"] == "ok" for row in panel["states"])
    return out, len(panel["states"]) - out - well, well


def _quality(data: dict[str, Any]) -> Line:
    panel = data.get("image_quality")
    if not panel:
        return Line("quiet", "Image quality: no phantom was measured and none is on a schedule.")
    out, changed, _ = _states(panel)
    late = sum(row["state"] == "overdue" for row in panel["schedule"])
    overdue = f"; {plural(late, 'scheduled measurement')} overdue" if late else ""
    total = plural(len(panel["states"]), "phantom quantity", "phantom quantities")
    if not panel["states"]:
        return Line(
            "check" if late else "quiet", f"Image quality: no quantity with a tolerance or a baseline{overdue}."
        )
    if out:
        more = f", {changed} more changed or in doubt" if changed else ""
        return Line("act", f"Image quality: {out} of {total} out of tolerance{more}{overdue}.")
    if changed:
        return Line(
            "check", f"Image quality: {changed} of {total} changed or in doubt, none out of tolerance{overdue}."
        )
    return Line("check" if late else "ok", f"Image quality: {total} within tolerance and unchanged{overdue}.")


def _coverage(data: dict[str, Any]) -> Line:
    complete = data["completeness"]
    if not complete["balanced"]:
        return Line(
            "act", "Data: the states of the received objects do not add up. Do not sign before the ledger is checked."
        )
    waiting = complete["by_state"].get("pending", 0)
    unread = f" {plural(waiting, 'received object')} not read yet: in no number here." if waiting else ""
    if not complete["in_period"]:
        return Line("check" if waiting else "quiet", f"Data: no exams in the period.{unread}")
    others = ((complete["unmapped"], "unmapped"), (complete["excluded"], "left out"))
    rest = [f"{n:,} {word}".replace(",", "\u202f") for n, word in others if n]
    few = complete["compared"] < 0.9 * complete["in_period"] or not any(
        row["verdict"] in JUDGED for row in data["comparisons"]
    )
    told = f" ({', '.join(rest)})" if rest else ""
    # A space between thousands, as everywhere in the report.
    grouped = f"{complete['compared']:,}".replace(",", "\u202f")
    text = f"Data: {grouped} of {plural(complete['in_period'], 'exam')} grouped for comparison{told}."
    return Line("check" if few or waiting else "ok", text + _groups_judged(data["comparisons"]) + unread)


def _groups_judged(rows: list[dict[str, Any]]) -> str:
    """How far comparing got: exams of a group that is too small, or has no level, are compared with nothing."""
    verdicts = [row["verdict"] for row in rows]
    few, none = verdicts.count("INSUFFICIENT_N"), verdicts.count("NO_DRL")
    if not few + none:
        return ""
    judged = sum(verdict in JUDGED for verdict in verdicts)
    why = [f"{few} have too few exams" if few > 1 else "1 has too few exams"] if few else []
    why += [f"{none} {'have' if none > 1 else 'has'} no level"] if none else []
    undated = sum(map(_validity_not_known, rows))
    if undated:
        these = "" if undated == none == 1 else "all " if undated == none else f"{undated} of them "
        why[-1] += f" ({these}because it is not known from when the edition applies that has one)"
    return f" {judged} of {plural(len(verdicts), 'group')} judged; {', '.join(why)}."
