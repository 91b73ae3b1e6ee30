"""The document from the answers: a summary, then one table for each group of cases, then what failed in whose words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compare.case import Case, Quantity
from compare.run import Answered

__all__ = ["Outcome", "Tally", "document", "error_of", "nearer_than_ours", "tally"]

NAMES = {"ours": "dose-audit", "pylinac": "pylinac", "hazen": "hazen"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case, what was asked, and each program's answer."""

    case: Case
    asked: Sequence[Quantity]
    answers: Mapping[str, Answered]
    took_s: float = 0.0  # with the making of the images


@dataclass
class Tally:
    """How often a program did what, over all quantities with a truth that it offers."""

    cases: int = 0
    aborted: int = 0
    asked: int = 0
    within: int = 0
    beyond: int = 0
    doubted: int = 0
    missing: int = 0
    timed: int = 0
    faster: int = 0


def error_of(quantity: Quantity, value: float) -> float | None:
    """Value less truth, as a share of the truth where the target is one; `None` without a truth."""
    if quantity.truth is None:
        return None
    error = value - quantity.truth
    return error / abs(quantity.truth) if quantity.relative else error


def _beyond(quantity: Quantity, value: float) -> bool:
    allowed = quantity.allowed
    if allowed is None or quantity.truth is None:
        return False
    # A value that is printed with few digits must not fall over the edge by their rounding alone.
    return abs(value - quantity.truth) > allowed * (1 + 1e-9)


def _offered(outcomes: Iterable[Outcome]) -> dict[str, set[tuple[str, str]]]:
    """Task and quantity that each program gave, or tried to give, at least once."""
    found: dict[str, set[tuple[str, str]]] = {}
    for one in outcomes:
        for program, answer in one.answers.items():
            names = {*answer.values, *answer.failures}
            found.setdefault(program, set()).update((one.case.task, name) for name in names)
    return found


def _gave_up(case: Case, answer: Answered) -> bool:
    """Whether nothing came of the whole case: an abort, or a failure under the task's own name."""
    return bool(answer.aborted) or case.task in answer.failures


def tally(outcomes: Sequence[Outcome]) -> dict[str, Tally]:
    """Count for each program what it gave, what was near enough, and what it left out."""
    offered = _offered(outcomes)
    found: dict[str, Tally] = {}
    for one in outcomes:
        for program, answer in one.answers.items():
            own = found.setdefault(program, Tally())
            own.cases += 1
            own.aborted += _gave_up(one.case, answer)
            ours = one.answers.get("ours")
            if program != "ours" and ours is not None and ours.seconds is not None and answer.seconds is not None:
                own.timed += not _gave_up(one.case, answer)
                own.faster += answer.seconds < ours.seconds and not _gave_up(one.case, answer)
            for quantity in one.asked:
                if (
                    quantity.truth is None
                    or not quantity.computed
                    or (one.case.task, quantity.name) not in offered[program]
                ):
                    continue
                own.asked += 1
                value = answer.values.get(quantity.name)
                if value is None:
                    own.missing += 1
                elif not _beyond(quantity, value):
                    own.within += 1
                elif quantity.name in answer.doubts:
                    own.doubted += 1
                else:
                    own.beyond += 1
    return found


def nearer_than_ours(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines on each quantity where another program is nearer to the truth by a tenth of the target or more."""
    lines = []
    offered = _offered(outcomes).get("ours", set())
    for one in outcomes:
        ours = one.answers.get("ours")
        if ours is None:
            continue
        for quantity in one.asked:
            if quantity.truth is None or quantity.allowed is None or not quantity.computed:
                continue
            if (one.case.task, quantity.name) not in offered:
                continue
            own = ours.values.get(quantity.name)
            own_error = math.inf if own is None else abs(own - quantity.truth)
            for program, answer in one.answers.items():
                value = answer.values.get(quantity.name)
                if program == "ours" or value is None or _beyond(quantity, value):
                    continue
                if own_error - abs(value - quantity.truth) > 0.1 * quantity.allowed:
                    mine = "no value" if own is None else f"ours {_value(own)}"
                    lines.append(
                        f"- {one.case.title}, {quantity.name}: {NAMES[program]} {_value(value)}, {mine}, "
                        f"truth {_value(quantity.truth)} {_unit(quantity)}".rstrip()
                    )
    return lines


# --------------------------------------------------------------------------------------------------------------------


def document(outcomes: Sequence[Outcome], *, head: str, remarks: str, absent: Mapping[str, str] | None = None) -> str:
    """The whole page.

    Parameters
    ----------
    outcomes : sequence of Outcome
        In the order of the page.
    head : str
        Markdown above everything: what was run, when, where, by which command.
    remarks : str
        Markdown after the summary.
    absent : mapping of str to str, optional
        Programs or images that were not there, and why.
    """
    parts = [head, _summary(outcomes)]
    if absent:
        parts.append("\n".join(f"Not run: {what}: {why}." for what, why in absent.items()))
    better = nearer_than_ours(outcomes)
    parts.append("## Where another program is nearer to the truth\n\nBy a tenth of the target or more, and within it.\n\n"
                 + ("\n".join(better) if better else "Nowhere in this run."))  # fmt: skip
    parts.append(remarks)
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(one.case.group, []).append(one)
    parts += [_group(name, members) for name, members in groups.items()]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _summary(outcomes: Sequence[Outcome]) -> str:
    rows = ["| | cases | aborted | quantities with a truth that it offers | within target | beyond, said without doubt | beyond, "
            "said to be in doubt | no value | faster than dose-audit |",
            "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for program, own in tally(outcomes).items():
        faster = f"{own.faster} of {own.timed}" if own.timed else ""
        rows.append(f"| {NAMES[program]} | {own.cases} | {own.aborted} | {own.asked} | {own.within} | {own.beyond} | "
                    f"{own.doubted} | {own.missing} | {faster} |")  # fmt: skip
    return "## Summary\n\n" + "\n".join(rows)


def _group(name: str, members: Sequence[Outcome]) -> str:
    programs = [key for key in NAMES if any(key in one.answers for one in members)]
    lines = [f"## {name}", ""]
    lines += [f"{one.case.title}: {one.case.note}\n" for one in members if one.case.note]
    titles = " | ".join(NAMES[key] for key in programs)
    lines += [f"| case | quantity | truth | target | {titles} |", "|---" * (4 + len(programs)) + "|"]
    notes: list[str] = []
    for one in members:
        lines += _rows(one, programs, notes)
    return "\n".join(lines) + ("\n\n" + "\n".join(notes) if notes else "")


def _rows(one: Outcome, programs: Sequence[str], notes: list[str]) -> list[str]:
    rows, title = [], one.case.title
    for quantity in one.asked:
        cells = [_cell(one.case, quantity, one.answers.get(program)) for program in programs]
        if all(cell in ("", "–", "aborted") for cell in cells) and quantity.truth is None:
            continue
        truth = "" if quantity.truth is None else f"{_value(quantity.truth)} {_unit(quantity)}"
        shown = f"{quantity.name}" if truth or not _unit(quantity) else f"{quantity.name}, {_unit(quantity)}"
        rows.append(f"| {title} | {shown} | {truth.strip()} | {_target(quantity)} | {' | '.join(cells)} |")
        title = ""
    seconds = [_seconds(one.answers.get(program)) for program in programs]
    rows.append(f"| {title} | seconds | | | {' | '.join(seconds)} |")
    asked = {quantity.name for quantity in one.asked}
    for program in programs:
        answer = one.answers.get(program)
        if answer is None:
            continue
        said = [answer.aborted] if answer.aborted else []
        # A part of a program that failed, or a quantity that was asked for; what it refuses besides is not asked here.
        said += [f"{what}: {why}" for what, why in answer.failures.items() if what in asked or what not in _known(one)]
        said += [f"{what} in doubt: {why}" for what, why in answer.doubts.items() if what in asked]
        if said:
            notes.append(f"- {one.case.title}, {NAMES[program]}: " + "; ".join(_plain(text) for text in said))
    return rows


def _known(one: Outcome) -> set[str]:
    return {name for answer in one.answers.values() for name in answer.values} - {
        quantity.name for quantity in one.asked
    }


def _cell(case: Case, quantity: Quantity, answer: Answered | None) -> str:
    if answer is None:
        return ""
    value = answer.values.get(quantity.name)
    if value is None and _gave_up(case, answer):
        return "aborted"
    if value is None:
        return "no value" if quantity.name in answer.failures else "–"
    text = _value(value)
    error = error_of(quantity, value)
    if error is not None:
        text += f" ({100 * error:+.2g} %)" if quantity.relative else f" ({_signed(error)})"
    if _beyond(quantity, value):
        text = f"**{text}**"
    return text + (" ?" if quantity.name in answer.doubts else "")


def _signed(error: float) -> str:
    return "±0" if abs(error) < 5e-5 else f"{error:+.2g}"


def _seconds(answer: Answered | None) -> str:
    return "" if answer is None or answer.seconds is None else f"{answer.seconds:.2g}"


def _value(value: float) -> str:
    if value == 0:
        return "0"  # never -0
    if abs(value) >= 100:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.1g}"


def _unit(quantity: Quantity) -> str:
    return "" if quantity.unit == "1" else quantity.unit


def _target(quantity: Quantity) -> str:
    if quantity.target is None or quantity.truth is None:
        return ""
    return (
        f"± {100 * quantity.target:g} %" if quantity.relative else f"± {quantity.target:.3g} {_unit(quantity)}".rstrip()
    )


def _plain(text: str) -> str:
    """On one line, and nothing that Markdown would take for a table or a link."""
    return " ".join(text.split()).replace("|", "/").replace("<", "‹").replace(">", "›")
