"""A finding: one thing that a person should know or do, with a key that is the same every night it is still
true.
"""

from __future__ import annotations

import csv
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

__all__ = [
    "KINDS",
    "SEVERITIES",
    "Finding",
    "finding_key",
    "finding_roles",
    "kind_words",
    "likely_causes",
    "role_for",
    "sort_findings",
]

SEVERITIES = ("act", "check", "note")
"""Do something; look at it; good to know. Only the first two make a night that needs a person."""

KINDS = (
    "high_exposure",
    "cumulative_exposure",
    "drl_exceeded",
    "median_above_drl",
    "levels_not_used",
    "unit_slip",
    "step_change",
    "outlier",
    "dose_check_alert",
    "exposure_index",
    "agd_above_limit",
    "repeated_localisers",
    "repeated_exposures",
    "silent_device",
    "new_device",
    "future_date",
    "corrupt_object",
    "conflict_object",
    "unmapped_acquisition_protocol",
    "missing_weight",
    "low_dose_check_iq",
    "phantom_mismatch",
    "totals_disagree",
    "implausible_value",
    "not_a_patient",
    "software_change",
    "phantom_out_of_tolerance",
    "phantom_out_of_control",
    "phantom_not_measured",
    "phantom_overdue",
    "dose_cut_images_worse",
    "low_coverage",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one run.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    severity : str
        One of `SEVERITIES`.
    subject : str
        What it is about, short enough for a heading. Never anything that identifies a patient.
    message : str
        The whole of it in a sentence or two, with numbers and units.
    site, equipment : str or None
        Where.
    identity : tuple of str
        What makes this cause this cause, beside kind, site and equipment. Nothing that changes from night to
        night while the cause stays the same: no counts, no doses, no last day of the period.
    evidence : mapping
        Numbers behind the message, JSON-ready.
    likely_causes : tuple of str
        Where to look first; the kind's own list when left empty.
    """

    kind: str
    severity: str
    subject: str
    message: str
    site: str | None = None
    equipment: str | None = None
    identity: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    likely_causes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.severity not in SEVERITIES:
            raise ValueError(f"no finding of kind {self.kind!r} and severity {self.severity!r}")

    @property
    def key(self) -> str:
        """Name of the cause, the same in every run that finds it.

        Examples
        --------
        >>> a = Finding("outlier", "check", "Exam", "4 times its group's median", "North", "CT 1", ("E7",))
        >>> b = Finding("outlier", "check", "Exam", "5 times its group's median", "North", "CT 1", ("E7",))
        >>> a.key == b.key
        True
        """
        return finding_key(self.kind, self.site, self.equipment, self.identity)

    @property
    def for_role(self) -> str:
        """Role that it goes to."""
        return role_for(self.kind)

    @property
    def causes(self) -> tuple[str, ...]:
        """Likely causes, the finding's own or those of its kind."""
        return self.likely_causes or likely_causes(self.kind)


def finding_key(kind: str, site: str | None, equipment: str | None, identity: tuple[str, ...]) -> str:
    """Key of a finding that may or may not be raised; see `Finding.key`."""
    parts = (kind, site or "", equipment or "", *identity)
    return f"{kind}:{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:20]}"


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, str]]:
    text = resources.files("dose_audit.audit").joinpath("data/roles.csv").read_text(encoding="utf-8")
    return {row["kind"]: row for row in csv.DictReader(text.splitlines())}


def role_for(kind: str) -> str:
    """Return the role that a kind of finding goes to, from ``data/roles.csv``."""
    return _table()[kind]["role"]


def finding_roles() -> list[str]:
    """Return the roles that findings go to, sorted."""
    return sorted({row["role"] for row in _table().values()})


def kind_words() -> dict[str, str]:
    """Return what each kind of finding is called, from ``data/roles.csv``."""
    return {kind: row["words"] for kind, row in _table().items()}


@lru_cache(maxsize=1)
def _cause_table() -> dict[str, list[str]]:
    text = resources.files("dose_audit.audit").joinpath("data/likely_causes.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["likely_causes"]


def likely_causes(kind: str) -> tuple[str, ...]:
    """Return where to look first for a kind of finding, from ``data/likely_causes.toml``."""
    return tuple(_cause_table().get(kind, ()))


def sort_findings(findings: list[Finding]) -> list[Finding]:
    """Order findings as a person reads them: what needs doing first, then by kind and place.

    Two findings with one key are one cause told twice: the first that was made is kept.
    """
    unique: dict[str, Finding] = {}
    for finding in findings:
        unique.setdefault(finding.key, finding)
    return sorted(
        unique.values(),
        key=lambda f: (
            SEVERITIES.index(f.severity),
            KINDS.index(f.kind),
            f.site or "",
            f.equipment or "",
            f.subject,
            f.key,
        ),
    )
