"""Sites whose exams reach no comparison although no single name is worth a finding: a quiet report is no all-clear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dose_audit.audit.completeness import NO_SITE
from dose_audit.audit.detectors.coverage import CHECK_FROM
from dose_audit.audit.findings import Finding

__all__ = ["coverage_findings"]

_SHARE = 0.1
"""Exams under rare names, as a share of the site's, that are worth a person's time together."""


def coverage_findings(completeness: Mapping[str, Any], unmapped: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """One ``low_coverage`` a site: none of its exams has an examination, or many have rare names that nothing maps.

    Parameters
    ----------
    completeness, unmapped
        Entries of ``report.json``.

    Examples
    --------
    >>> site = {"site": "North", "mapped": 0, "unmapped": 1}
    >>> [finding.message for finding in coverage_findings({"by_site": [site]}, [])]
    ['None of 1 exams has a known examination: nothing of this site is compared.']
    """
    rare: Counter[str] = Counter()
    for name in unmapped:
        if name["n"] < CHECK_FROM and name["reason"] == "UNMAPPED":
            rare[name["site"] or NO_SITE] += name["n"]
    findings = []
    for row in completeness["by_site"]:
        site, total, few = row["site"], row["mapped"] + row["unmapped"], rare[row["site"]]
        if row["unmapped"] and not row["mapped"]:
            message = f"None of {total} exams has a known examination: nothing of this site is compared."
        elif few >= CHECK_FROM and few >= _SHARE * total:
            message = (
                f"{few} of {total} exams came under names that occur fewer than {CHECK_FROM} times each and that no "
                "mapping row fits; they are compared with nothing."
            )
        else:
            continue
        findings.append(
            Finding(
                kind="low_coverage",
                severity="check",
                subject=f"{site}: exams compared with nothing",
                message=message,
                site=site,
                evidence={"mapped": row["mapped"], "unmapped": row["unmapped"], "under_rare_names": few},
            )
        )
    return findings
