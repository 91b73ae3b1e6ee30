"""The e-mail digest of a frozen run, as text and as HTML: what waits for a role, and nothing that names anybody."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib import resources
from typing import Any

from dose_audit.texts import one_line

__all__ = ["Digest", "digest_for", "roles_of"]

_MOST_KEYS = 10
"""Keys that one counted line names."""
_HEADINGS = {"act": "To act on", "check": "To check"}


@dataclass(frozen=True, slots=True)
class Digest:
    """One role's message.

    Attributes
    ----------
    role, subject, text, html : str
    findings : int
        How many it tells.
    """

    role: str
    subject: str
    text: str
    html: str
    findings: int


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, str]]:
    text = resources.files("dose_audit.audit").joinpath("data/roles.csv").read_text(encoding="utf-8")
    return {row["kind"]: row for row in csv.DictReader(text.splitlines())}


def roles_of(report: Mapping[str, Any]) -> list[str]:
    """Roles that something waits for."""
    return sorted({finding["for_role"] for finding in _waiting(report)})


def digest_for(report: Mapping[str, Any], role: str, *, everything: bool = False) -> Digest | None:
    """Write one role's digest.

    Parameters
    ----------
    report : mapping
        Contents of ``report.json``.
    role : str
    everything : bool
        Tell all findings, whatever their role.

    Returns
    -------
    Digest or None
        None where nothing waits for the role.

    Notes
    -----
    A finding's heading and an unmapped name may hold free text from a device, in which people have been known to
    write names: such kinds are only counted, with the keys by which whoever may see it
    looks it up. Exams appear by this installation's own number, which tells nobody else
    anything, patients not at all.
    """
    mine = [f for f in _waiting(report) if everything or f["for_role"] == role]
    run = report["run"]
    if not mine and not (everything and run.get("nothing_compared")):
        return None
    counts = Counter(finding["severity"] for finding in mine)
    new = sum(finding["state"] == "new" for finding in mine)
    what = f"{counts['act']} to act on, {counts['check']} to check, {new} of them new"
    if run.get("nothing_compared"):
        what = "nothing was compared" if not mine else f"{what}; nothing was compared"
    subject = f"Dose audit: {what}"
    lines = [f"Run {run['id']}, studies of {run['since']} to {run['until']}.", ""]
    parts = [f"<p>Run {escape(run['id'])}, studies of {escape(run['since'])} to {escape(run['until'])}.</p>"]
    if run.get("nothing_compared"):
        lines += [f"Note: {run['nothing_compared']}", ""]
        parts.append(f"<p><strong>Note:</strong> {escape(run['nothing_compared'])}</p>")
    for severity, heading in _HEADINGS.items():
        told = [_line(kind, where, group) for (kind, where), group in _grouped(mine, severity)]
        flat = [line for group in told for line in group]
        if flat:
            lines += [heading, *(f"- {line}" for line in flat), ""]
            items = "".join(f"<li>{escape(line)}</li>" for line in flat)
            parts.append(f"<h2>{escape(heading)}</h2><ul>{items}</ul>")
    close = "Acknowledge with: dose-audit finding acknowledge KEY --by ROLE --reason TEXT. The report has the details."
    lines.append(close)
    parts.append(f"<p>{escape(close)}</p>")
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(subject)}</title></head>'
    html = f"{head}<body><h1>{escape(subject)}</h1>{''.join(parts)}</body></html>"
    return Digest(role, subject, "\n".join(lines) + "\n", html, len(mine))


def _waiting(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [f for f in report["findings"] if f["severity"] != "note" and f["state"] in ("new", "open")]


def _grouped(
    findings: Sequence[Mapping[str, Any]], severity: str
) -> list[tuple[tuple[str, str], list[Mapping[str, Any]]]]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for finding in findings:
        if finding["severity"] == severity:
            where = ", ".join(filter(None, (finding["site"], finding["equipment"])))
            groups.setdefault((finding["kind"], where), []).append(finding)
    return list(groups.items())


def _line(kind: str, where: str, findings: Sequence[Mapping[str, Any]]) -> list[str]:
    row = _table()[kind]
    place = f"{one_line(where)}: " if where else ""  # a device's name could otherwise write lines of its own
    if row["mail"] == "count":
        keys = [finding["key"] for finding in findings[:_MOST_KEYS]]
        more = f" and {len(findings) - len(keys)} more: dose-audit finding list" if len(findings) > len(keys) else ""
        number = f" ({len(findings)})" if len(findings) > 1 else ""
        return [one_line(f"{place}{row['words']}{number} [{', '.join(keys)}{more}]")]
    return [one_line(f"{place}{row['words']}. {finding['message']} [{finding['key']}]") for finding in findings]
