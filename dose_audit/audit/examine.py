"""The audit itself, from Parquet to results: no store, no clock, no files written. The same inputs give the
same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.audit.block_tables import forget_blocks
from dose_audit.audit.charts import watch_all
from dose_audit.audit.comparisons import comparison_records, judge_groups
from dose_audit.audit.completeness import completeness_record, excluded_record
from dose_audit.audit.context import AuditContext, KnownFinding
from dose_audit.audit.corrected_values import Ratios, corrected_values
from dose_audit.audit.detectors import detect_all
from dose_audit.audit.device_events import DeviceEvent, named_events, with_events
from dose_audit.audit.engine import open_engine
from dose_audit.audit.exams import read_exams, read_objects
from dose_audit.audit.exposures import read_exposures
from dose_audit.audit.findings import Finding, sort_findings
from dose_audit.audit.freeze import freeze, frozen_table
from dose_audit.audit.kept import FOLDER, KeptResults
from dose_audit.audit.residuals import log_residuals
from dose_audit.audit.schedule import Schedule, one_look
from dose_audit.audit.seal import read_from
from dose_audit.audit.sections import build_sections
from dose_audit.audit.silences import find_silences
from dose_audit.audit.slips import find_slips
from dose_audit.audit.software import software_changes
from dose_audit.audit.steps import find_steps
from dose_audit.audit.unmapped import find_unmapped
from dose_audit.audit.values import Values, read_values

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.frozen_parts import FrozenParts
    from dose_audit.audit.mapping import StoredMapping
    from dose_audit.drl import DrlRegistry, Examination

__all__ = ["Progress", "Result", "examine"]

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction that is behind it, 0 to 1."""


@dataclass(frozen=True)
class Result:
    """What one look at the stored exams found.

    Attributes
    ----------
    comparisons, unmapped, excluded : list of dict
    completeness : dict
        Entries of ``report.json``.
    findings : list of Finding
        As a person reads them, each cause once.
    frozen : FrozenParts
        The values as the run freezes them.
    looked_at : Values
    sites : list of str
    sections : dict
        Further entries of ``report.json``, by name: see `dose_audit.audit.sections`.
    schedule : Schedule
    inputs : dict
        What was read, see `seal.read_from`.
    """

    comparisons: list[dict[str, Any]]
    completeness: dict[str, Any]
    unmapped: list[dict[str, Any]]
    excluded: list[dict[str, Any]]
    findings: list[Finding]
    frozen: FrozenParts
    looked_at: Values
    sites: list[str]
    sections: dict[str, Any]
    schedule: Schedule
    inputs: dict[str, Any]

    @property
    def values(self) -> pa.Table:
        """The frozen values as one table."""
        return frozen_table(self.looked_at)


def examine(
    parquet_dir: Path,
    registry: DrlRegistry,
    mapping: StoredMapping,
    examinations: Mapping[str, Examination],
    *,
    since: date | None,
    until: date | None,
    now: datetime,
    view: str = "then",
    drl_on: date | None = None,
    schedule: Schedule | None = None,
    ratios: Ratios | None = None,
    known: Sequence[KnownFinding] = (),
    events: Sequence[DeviceEvent] = (),
    progress: Progress | None = None,
    database_url: str | None = None,
    keep: bool = True,
) -> Result:
    """Audit the stored exams of a period.

    Parameters
    ----------
    parquet_dir, database_url : Path, str or None
        See `engine.open_engine`.
    registry : DrlRegistry
        Editions that may be used.
    mapping : StoredMapping
    examinations : mapping
        Slug → Examination.
    since, until : date, optional
        First and last study date, both included.
    now : datetime
        The moment of looking, naive local time. A silence lasts until then, or until the end of the period.
    view : str
        ``then`` (edition in force on the study date) or ``now``.
    drl_on : date, optional
        The date that ``now`` means; that of `now` by default.
    schedule : Schedule, optional
        When verdicts are given; one look at the whole period by default.
    ratios : mapping, optional
        Corrected over displayed doses, see `corrected_values.stored_ratios`; without them doses are as displayed.
    known : sequence of KnownFinding
        From earlier runs, so that a cause keeps its name while its estimated date moves.
    events : sequence of DeviceEvent
        What happened to devices in the period.
    progress : callable, optional
    keep : bool
        Whether results are kept beside the copy, and those of earlier runs found again, see `kept.KeptResults`. The
        result is the same either way.

    Returns
    -------
    Result
    """
    tell = progress or (lambda _text, _fraction: None)
    kept = KeptResults(parquet_dir / FOLDER if keep else None)
    schedule = schedule or one_look(since, until)
    with open_engine(parquet_dir, database_url, kept=kept) as engine:
        tell("reading values", 0.0)
        inputs = read_from(engine)
        values = read_values(
            engine,
            registry,
            mapping.table,
            examinations,
            since=since,
            until=until,
            view=view,
            now=drl_on or now.date(),
            kept=kept,
        )
        if ratios is not None:
            values, inputs["corrected_values"] = corrected_values(values, ratios)
        tell("reading exams and objects", 0.3)
        exams = read_exams(engine, since, until)
        objects = read_objects(engine)
        exposures = read_exposures(engine, exams, since, until)
        forget_blocks(engine)
        exams_stored = engine.exams_stored()

    tell("looking for slips", 0.4)
    closed = None if schedule.single_look else schedule.last_day
    residuals = log_residuals(values, closed, kept)
    slips = find_slips(values, residuals.every)
    for slip in slips:
        values.leave_out(slip.rows, "UNIT_SLIP")
    residual = log_residuals(values, closed, kept).judged if slips else residuals.judged
    del residuals
    tell("comparing groups", 0.5)
    standing = {
        finding.key: str(finding.evidence.get("raised_at_close") or "")
        for finding in known
        if finding.standing and finding.kind == "drl_exceeded"
    }
    groups = judge_groups(values, schedule, standing, kept)
    tell("looking for steps", 0.6)
    software = software_changes(exams)
    series = watch_all(values, residual, kept=kept)
    kept.write_growing()
    steps, residual = find_steps(values, residual, software, series, schedule, kept)
    # What is drawn of them is needed from here on; all of them are several copies of the period's exams.
    series = [one.drawn() for one in series]
    look_until = _moment_of_looking(now, until)
    silences = find_silences(exams, look_until)
    unmapped = find_unmapped(values, mapping.table, examinations)
    tell("looking for findings", 0.8)
    context = AuditContext(
        values=values,
        groups=groups,
        residual=residual,
        slips=slips,
        steps=steps,
        silences=silences,
        exams=exams,
        objects=objects,
        unmapped=unmapped,
        until=look_until,
        schedule=schedule,
        software=software,
        series=series,
        exposures=exposures,
        known=list(known),
        kept=kept,
        events=named_events(events, exams),
    )
    findings = sort_findings(with_events(detect_all(context), context.events))
    tell("drawing sections", 0.9)
    for columns in (values.columns, exams, exposures.localisers, exposures.projections):
        columns.let_go()  # of millions of exams detectors have made arrays that no section asks for
    sections = build_sections(context, findings)
    kept.write()
    tell("adding up", 0.95)
    completeness = completeness_record(values, exams, objects, silences, exams_stored=exams_stored)
    result = Result(
        comparisons=comparison_records(groups, registry),
        completeness=completeness,
        unmapped=[name.record() for name in unmapped],
        excluded=excluded_record(values),
        findings=findings,
        frozen=freeze(values, parquet_dir / FOLDER / "weeks" if keep else None),
        looked_at=values,
        sites=_sites(values),
        sections=sections,
        schedule=schedule,
        inputs=inputs,
    )
    tell("done", 1.0)
    return result


def _moment_of_looking(now: datetime, until: date | None) -> datetime:
    naive = now.replace(tzinfo=None)
    return naive if until is None else min(naive, datetime.combine(until, time.max))


def _sites(values: Values) -> list[str]:
    return sorted({site or "" for site in values.columns.codes("site")[1]})
