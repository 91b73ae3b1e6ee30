"""A frozen run on disk: one folder with ``report.json`` and ``values.parquet``, and what the caller is
told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from dose_audit.audit.seal import SEAL

__all__ = [
    "FINDINGS_RAISED",
    "NOTHING_TO_DO",
    "UNFINISHED",
    "AuditOutcome",
    "find_run",
    "json_ready",
    "mark_unfinished",
    "report_texts",
    "run_name",
    "unfinished_runs",
    "write_report",
]

NOTHING_TO_DO = 0
FINDINGS_RAISED = 3
# What JSON has no word for is refused, not written in some way of the library's own.
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What a run of the audit came to.

    Attributes
    ----------
    run_id : str
    run_dir : Path
        The frozen run.
    findings_new : int
        Findings that this run raised for the first time.
    exit_code : int
        0 where nothing needs a person, 3 where a finding of severity ``act`` or ``check`` is new or open, or exams
        came in and none of them could be compared.
    nothing_compared : str
        Why no group was held against a reference level, and what to do; empty where one was.
    exams : mapping
        Exams ``in_period``, ``compared``, ``unmapped`` and ``excluded``.
    levels_not_used : tuple of str
        Editions that were asked for and are not used, and why.
    """

    run_id: str
    run_dir: Path
    findings_new: int
    exit_code: int
    nothing_compared: str = ""
    exams: Mapping[str, int] = field(default_factory=dict)
    levels_not_used: tuple[str, ...] = ()

    @property
    def coverage(self) -> str:
        """What became of the period's exams, in a few words; empty where there were none.

        Examples
        --------
        >>> counts = {"in_period": 12, "compared": 3, "unmapped": 8, "excluded": 1}
        >>> AuditOutcome("run", Path("run"), 0, 0, exams=counts).coverage
        '3 of 12 exams grouped for comparison, 8 unmapped, 1 left out'
        """
        if not self.exams.get("in_period"):
            return ""
        parts = [f"{self.exams['compared']} of {self.exams['in_period']} exams grouped for comparison"]
        others = ((self.exams["unmapped"], "unmapped"), (self.exams["excluded"], "left out"))
        parts += [f"{n} {word}" for n, word in others if n]
        return ", ".join(parts)


def run_name(now: datetime, frozen_input_sha256: str) -> str:
    """Name of a run: when, and of which inputs.

    >>> run_name(datetime(2026, 7, 1, 2, 0), "ab" * 32)
    '20260701T020000-abababab'
    """
    return f"{now:%Y%m%dT%H%M%S}-{frozen_input_sha256[:8]}"


def find_run(reports_dir: Path, run: str | None = None) -> Path:
    """Return the folder of a run, or of the latest one that was finished.

    Parameters
    ----------
    reports_dir : Path
    run : str, optional
        Its name, or its folder wherever that lies: `audit --out` writes it elsewhere. The latest by default.

    Raises
    ------
    FileNotFoundError
        There is no such run.
    """
    if run is not None and (Path(run) / "report.json").is_file():
        return Path(run)
    runs = sorted(path.parent for path in reports_dir.glob("*/report.json"))
    if run is None:
        begun = set(unfinished_runs(reports_dir))
        finished = [path for path in runs if path not in begun]
        if finished:
            return finished[-1]
        raise FileNotFoundError(f"no audit run yet in {reports_dir}; `dose-audit audit` makes one")
    if (reports_dir / run) in unfinished_runs(reports_dir):
        raise FileNotFoundError(f"{run}: {UNFINISHED}")
    for folder in runs:
        if folder.name == run:
            return folder
    latest = f"; the latest is {runs[-1].name}" if runs else "; `dose-audit audit` makes one"
    raise FileNotFoundError(f"no audit run {run} in {reports_dir}{latest}")


UNFINISHED = (
    "an audit was ended before it had frozen this run, or is still at work on it. Nothing in the store or in a later report "
    "rests on it; once no audit runs, the folder can be deleted"
)
_MARK = "NOT-FINISHED.txt"
_RUN_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")


def unfinished_runs(reports_dir: Path) -> list[Path]:
    """Folders of runs that were begun and not frozen: they lack the report or the seal, which is written last."""
    if not reports_dir.is_dir():
        return []
    folders = [path for path in reports_dir.iterdir() if _RUN_NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(path for path in folders if not all((path / name).is_file() for name in ("report.json", SEAL)))


def mark_unfinished(reports_dir: Path, *, before: float) -> list[Path]:
    """Put a note into each folder of `unfinished_runs` in which nothing has changed since `before`.

    Parameters
    ----------
    reports_dir : Path
    before : float
        Seconds since 1970; what changed later may be another audit's at work.

    Returns
    -------
    list of Path
        The folders that have their note by this call.
    """
    marked = []
    for folder in unfinished_runs(reports_dir):
        last = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
        if last < before and not (folder / _MARK).exists():
            (folder / _MARK).write_text(f"{folder.name}: {UNFINISHED}.\n", encoding="utf-8")
            marked.append(folder)
    return marked


def report_texts(report: Mapping[str, Any]) -> dict[str, bytes]:
    """Each entry of a report as ``report.json`` has it: members of a list on a line of their own.

    Parameters
    ----------
    report : mapping
        Of dicts, lists, tuples, texts and numbers, numpy's among them; what is not finite becomes null.

    Examples
    --------
    >>> report_texts({"run": {"n": 1}, "monitors": [1.5, None, float("nan")]})
    {'run': b'{"n":1}', 'monitors': b'[\\n1.5,\\nnull,\\nnull\\n]'}
    """
    return {
        name: b"[\n" + b",\n".join(map(_text, entry)) + b"\n]" if isinstance(entry, list) and entry else _text(entry)
        for name, entry in report.items()
    }


def write_report(texts: Mapping[str, bytes], path: Path) -> None:
    """Write ``report.json`` of the texts of its entries, whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        ahead = b"{\n"
        for name, text in texts.items():
            file.write(ahead + _text(name) + b": ")
            file.write(text)
            ahead = b",\n"
        file.write(b"\n}\n")
    part.replace(path)


def json_ready(value: Any) -> Any:
    """Turn a value into what its text in ``report.json`` reads back as: plain numbers, lists, null for what is not finite.

    >>> json_ready({"a": np.float64("nan"), "b": (np.int64(3),)})
    {'a': None, 'b': [3]}
    """
    return orjson.loads(_text(value))


def _text(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):  # texts; numbers it knows
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a report holds no {type(value).__name__}")
