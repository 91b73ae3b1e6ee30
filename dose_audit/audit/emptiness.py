"""Says when a run compared nothing, why, and what to do about it: silence must never read as an all-clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["JUDGED", "why_nothing_compared"]

JUDGED = ("ABOVE", "WITHIN", "BELOW_P25_CHECK_IQ")
"""Verdicts that say something about a dose."""


def why_nothing_compared(
    completeness: Mapping[str, Any],
    comparisons: Sequence[Mapping[str, Any]],
    excluded: Sequence[Mapping[str, Any]],
    *,
    mapping_version: int | None,
    drl_sets: Sequence[Mapping[str, Any]],
    phantom_runs: int = 0,
    undated: Sequence[str] = (),
    unused: Sequence[str] = (),
) -> str:
    """One or two sentences where no group was held against a reference level; empty where one was.

    Parameters
    ----------
    completeness, comparisons, excluded
        Entries of ``report.json``.
    mapping_version : int or None
    drl_sets : sequence
        Editions in force in the period.
    phantom_runs : int
        Phantom measurements that the report holds beside the exams.
    undated : sequence of str
        Editions that may be used, and of which nobody knows from when they apply.
    unused : sequence of str
        Editions that were asked for and are not used, and why.

    Examples
    --------
    >>> facts = {"exams": 9, "in_period": 9, "unmapped": 9, "compared": 0}
    >>> why_nothing_compared(facts, [], [], mapping_version=None, drl_sets=[{}])[:42]
    'nothing was compared: none of the 9 exams '
    >>> why_nothing_compared(facts, [], [], mapping_version=1, drl_sets=[], undated=["id-ct 2026"])[:62]
    'nothing was compared: it is not known from when id-ct 2026 app'
    """
    if any(group["verdict"] in JUDGED for group in comparisons):
        return ""
    exams, stored = completeness["in_period"], completeness["exams"]
    told = "nothing was compared: "
    if not exams and phantom_runs:
        runs = "1 phantom run" if phantom_runs == 1 else f"{phantom_runs} phantom runs"
        return f"no exams in the period: this report is of image quality alone ({runs})."
    if not stored:
        return f"{told}no exam has been received. Send or scan dose reports first (dose-audit scan FOLDER)."
    if not exams:
        return f"{told}none of the {stored} stored exams lies in this period. Choose another with --since and --until."
    if not drl_sets and undated:
        return (
            f"{told}it is not known from when {', '.join(undated)} applies, and these exams are earlier than the day on which "
            "its values were recorded here. Audit with --view now to hold them against it all the same."
        )
    if not drl_sets and unused:
        return f"{told}no reference level is in force: {'; '.join(unused)}."
    if not drl_sets:
        return f"{told}no reference level is in force. Name sets in drl_sets (dose-audit drl list shows them)."
    unmapped = completeness["unmapped"]
    if unmapped and unmapped >= exams - unmapped:
        why = "no exam mapping is approved yet" if mapping_version is None else "no approved mapping row fits"
        if unmapped == exams:
            count = "the one exam has" if exams == 1 else f"none of the {exams} exams has"
            count = f"{count} a known examination" if exams > 1 else f"{count} no known examination"
        else:
            count = f"{unmapped} of {exams} exams have no known examination"
        advice = "Run dose-audit mapping suggest, then dose-audit mapping approve."
        return f"{told}{count} ({why}). {advice}{_of_the_others(comparisons)}"
    if not comparisons and excluded:
        first = excluded[0]
        return f"{told}{first['n']} of {exams} exams are left out: {first['detail']}."
    if any(group["verdict"] == "INSUFFICIENT_N" for group in comparisons):
        least = min(group["minimum_n"] for group in comparisons if group["verdict"] == "INSUFFICIENT_N")
        return f"{told}no group has enough exams for a verdict ({least} or more). Wait, or choose a longer period."
    return f"{told}the loaded reference levels have none for these examinations. {_NAME_A_SET}"


_NAME_A_SET = (
    "Name a set that has them in drl_sets (dose-audit drl list), or propose a local one (dose-audit drl propose)."
)


def _of_the_others(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """What the exams that are mapped lack, where a mapping of the rest would not help them."""
    if comparisons and all(group["verdict"] == "NO_DRL" for group in comparisons):
        return f" The loaded reference levels have none for the examinations of the others. {_NAME_A_SET}"
    return ""
