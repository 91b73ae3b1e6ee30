"""The nightly audit: bring the columns up to date, look, tell each finding once, and freeze the run in a
folder.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.audit.coverage import coverage_findings
from dose_audit.audit.emptiness import why_nothing_compared
from dose_audit.audit.engine import copy_or_database
from dose_audit.audit.examine import Progress, Result, examine
from dose_audit.audit.findings import sort_findings
from dose_audit.audit.freeze import input_sha256
from dose_audit.audit.mapping import StoredMapping, stored_mapping
from dose_audit.audit.methods import ALGORITHMS, method_texts
from dose_audit.audit.phantom_findings import phantom_findings
from dose_audit.audit.references import editions_in_force
from dose_audit.audit.runs import AuditOutcome, report_texts, run_name, write_report
from dose_audit.audit.schedule import PERIODS, first_of_period, nightly_schedule, one_look
from dose_audit.audit.seal import VALUES, seal_run, write_inputs
from dose_audit.audit.telling import exit_code, finding_record, known_findings, raise_all
from dose_audit.audit.unused_levels import unused_levels, unused_sets
from dose_audit.program import program_sha256

if TYPE_CHECKING:
    from dose_audit.config import Settings
    from dose_audit.drl import DrlRegistry

__all__ = ["DEFAULT_SETS", "PERIOD_MONTHS", "default_since", "load_registry", "run_audit"]

DEFAULT_SETS = ("uk-adult-ct", "eu-rp185-paediatric-ct")
"""Sets in order of preference where the settings name none."""
PERIOD_MONTHS = 12
"""Months before the running fixed period that a nightly run looks at unless told otherwise. The start moves when a
period closes and not every night."""


def run_audit(
    settings: Settings,
    *,
    since: date | None = None,
    until: date | None = None,
    now: datetime | None = None,
    out: Path | None = None,
    view: str | None = None,
    drl_on: date | None = None,
    progress: Progress | None = None,
) -> AuditOutcome:
    """Run the audit and freeze it.

    Parameters
    ----------
    settings : Settings
    since, until : date, optional
        First and last study date, both included. By default from a year before the running verdict period until
        today: that is a nightly run, which gives verdicts at the closes of the fixed periods alone.
    now : datetime, optional
        The moment of looking, local time; the clock's by default.
    out : Path, optional
        Folder in which the run's own folder is made; the settings' reports by default.
    view : str, optional
        ``then`` (editions in force on the study date) or ``now``; the settings' by default.
    drl_on : date, optional
        The date that ``now`` means; the day of the run by default. The same exams can so be replayed under either.
    progress : callable, optional
        Called with text and fraction.

    Returns
    -------
    AuditOutcome

    Raises
    ------
    ValueError
        A period that ends before it begins.
    SettingsError
        A DRL set that does not exist.
    AuditInputError
        The stored exams cannot be read.

    Notes
    -----
    A run over a period that was asked for is one look at it. It raises findings but clears none: what it does not
    look at may still be so.
    """
    from django.db import transaction

    from dose_audit.retrieve import latest_reconciliation
    from dose_audit.store.settings import prepare

    tell = progress or (lambda _text, _fraction: None)
    now = (now or datetime.now()).replace(tzinfo=None)
    nightly = since is None and until is None
    until = until or now.date()
    since = since or default_since(until, settings.verdict_period)
    if until < since:
        raise ValueError(f"the period ends on {until}, before it begins on {since}")
    if view not in (None, "then", "now"):
        raise ValueError(f"view is {view!r}, expected 'then' or 'now'")
    settings = replace(settings, drl_view=view) if view else settings
    drl_on = drl_on or now.date()
    prepare(settings)
    # What reads the store's tables is imported once the store is set up.
    from dose_audit.audit.corrected_values import stored_ratios
    from dose_audit.audit.device_events import stored_events
    from dose_audit.audit.local_editions import local_level_records
    from dose_audit.audit.worksheets import worksheets
    from dose_audit.quality.panel import image_quality

    tell("copying the store to columns", 0.0)
    parquet_dir, database_url = copy_or_database(settings)
    registry = load_registry(settings)
    mapping = stored_mapping()
    schedule = nightly_schedule(since, until, settings.verdict_period) if nightly else one_look(since, until)
    result = examine(
        parquet_dir,
        registry,
        mapping,
        registry.examinations,
        since=since,
        until=until,
        now=now,
        view=settings.drl_view,
        drl_on=drl_on,
        schedule=schedule,
        ratios=stored_ratios(since, until) if settings.drl_doses == "corrected" else None,
        known=known_findings(),
        events=stored_events(since, until),
        progress=lambda text, fraction: tell(text, 0.3 + 0.6 * fraction),
        database_url=database_url,
    )
    archived = latest_reconciliation(settings.home)
    if archived is not None:
        result.completeness["archive"] = archived
    panel = image_quality(min(now, datetime.combine(until, time.max)), own=settings.phantom_definitions_dir)
    if panel is not None:
        result.sections["image_quality"] = panel
    more = [*phantom_findings(panel), *coverage_findings(result.completeness, result.unmapped)]
    more += unused_levels(registry, settings.drl_sets)
    result = replace(result, findings=sort_findings([*result.findings, *more]))
    tell("freezing the run", 0.9)
    sets = _sets_record(settings, registry, since, until, drl_on)
    result.sections["local_levels"] = local_level_records(registry.examinations, sets)
    result.sections["significant_exposures"] = worksheets(result.findings, result.looked_at)
    # Of a large network these are millions of numbers: they become text once, which is hashed and written.
    sections = report_texts(result.sections)
    values_sha256 = result.frozen.sha256
    run = _run_record(settings, registry, mapping, result, sections, values_sha256, sets, since, until, now, drl_on)
    run_dir = (out or settings.reports_dir) / run["id"]
    run_dir.mkdir(parents=True, exist_ok=True)
    result.frozen.write(run_dir / VALUES)
    run["inputs_sha256"] = write_inputs(run_dir, _inputs(result, run, values_sha256))
    # All or nothing: a run that is killed here leaves no finding that counts as told and that no run shows.
    with transaction.atomic():
        states = raise_all(result.findings, run["id"], clear=nightly)
        code = exit_code(
            result.findings,
            states,
            nothing_compared=bool(run["nothing_compared"]) and result.completeness["in_period"] > 0,
        )
        findings = [finding_record(finding, states[finding.key]) for finding in result.findings]
        ahead = {
            "run": run,
            "completeness": result.completeness,
            "comparisons": result.comparisons,
            "findings": findings,
        }
        ahead |= {"unmapped": result.unmapped, "excluded": result.excluded}
        methods = method_texts(run["drl_sets"], mapping, settings.drl_view, schedule, settings.drl_doses)
        texts = report_texts(ahead) | sections | report_texts({"methods": methods})
        write_report(texts, run_dir / "report.json")
        seal_run(run_dir)
        _keep_run(run, code)
    tell("done", 1.0)
    new = sum(state["state"] == "new" for state in states.values())
    counts = {name: result.completeness[name] for name in ("in_period", "compared", "unmapped", "excluded")}
    unused = tuple(f"{one.set_id} {one.edition}: {one.reason}" for one in unused_sets(registry, settings.drl_sets))
    return AuditOutcome(run["id"], run_dir, new, code, run["nothing_compared"], counts, unused)


def default_since(until: date, period: str = "quarter") -> date:
    """First day of the running verdict period, `PERIOD_MONTHS` months before.

    >>> default_since(date(2026, 8, 15))
    datetime.date(2025, 7, 1)
    """
    start = first_of_period(until, PERIODS[period])
    months = start.year * 12 + start.month - 1 - PERIOD_MONTHS
    return date(months // 12, months % 12 + 1, 1)


def load_registry(settings: Settings) -> DrlRegistry:
    """Load the DRL sets that the settings name, local ones among them, or the default ones.

    Raises
    ------
    SettingsError
        The settings name a set that does not exist.
    """
    from dose_audit.config import SettingsError
    from dose_audit.drl import load_sets

    try:
        return load_sets(
            include=settings.drl_sets or DEFAULT_SETS,
            allow_unverified=settings.allow_unverified_drl,
            local=settings.local_drl_dir,
        )
    except ValueError as error:
        raise SettingsError(f"drl_sets: {error}") from error


def _sets_record(
    settings: Settings, registry: DrlRegistry, since: date, until: date, drl_on: date
) -> list[dict[str, Any]]:
    return [
        {
            "set": s.set_id,
            "edition": s.edition,
            "status": s.status,
            "title": s.title,
            "region": s.region,
            "sha256": _file_sha256(Path(s.folder) / "rows.csv"),
            "set_sha256": _file_sha256(Path(s.folder) / "set.toml"),
        }
        for s in editions_in_force(registry, since=since, until=until, view=settings.drl_view, now=drl_on)
    ]


def _run_record(
    settings: Settings,
    registry: DrlRegistry,
    mapping: StoredMapping,
    result: Result,
    sections: Mapping[str, bytes],
    values_sha256: str,
    sets: list[dict[str, Any]],
    since: date,
    until: date,
    now: datetime,
    drl_on: date,
) -> dict[str, Any]:
    import dose_audit

    facts = {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "view": settings.drl_view,
        "doses": settings.drl_doses,
        "drl_on": drl_on.isoformat() if settings.drl_view == "now" else None,
        "drl_sets": sets,
        "mapping": mapping.record(),
        "completeness": result.completeness,
        "findings": [(f.key, f.severity, f.message) for f in result.findings],
        "schedule": [period.record() for period in result.schedule.periods],
        "sections": {name: sha256(text).hexdigest() for name, text in sections.items()},
        "algorithms": ALGORITHMS,
        "engine": dose_audit.__version__,
    }
    frozen = input_sha256(values_sha256, facts)
    return {
        "id": run_name(now, frozen),
        "created_at": now.isoformat(timespec="seconds"),
        "network": settings.network_name,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "drl_view": settings.drl_view,
        "drl_doses": settings.drl_doses,
        "drl_on": drl_on.isoformat() if settings.drl_view == "now" else None,
        "versions": {
            "engine": dose_audit.__version__,
            "program_sha256": program_sha256(),
            "python": platform.python_version(),
            "algorithms": dict(ALGORITHMS),
        },
        "drl_sets": sets,
        "drl_skipped": [{"set": s.set_id, "edition": s.edition, "reason": s.reason} for s in registry.skipped],
        "mapping": mapping.record(),
        "frozen_input_sha256": frozen,
        "sites": _sites(result),
        "schedule": {
            "single_look": result.schedule.single_look,
            "periods_per_year": result.schedule.periods_per_year,
            "periods": [period.record() for period in result.schedule.periods],
        },
        "nothing_compared": why_nothing_compared(
            result.completeness,
            result.comparisons,
            result.excluded,
            mapping_version=mapping.version,
            drl_sets=sets,
            phantom_runs=result.sections.get("image_quality", {}).get("runs", {}).get("analyses", 0),
            undated=[s.name for s in registry.sets if not s.valid_from_known],
            unused=[f"{s.set_id} {s.edition} is {s.reason}" for s in unused_sets(registry, settings.drl_sets)],
        ),
    }


def _inputs(result: Result, run: Mapping[str, Any], values_sha256: str) -> dict[str, Any]:
    """What decided the run, each with its version or hash."""
    return {
        **result.inputs,
        "values_sha256": values_sha256,
        "mapping": run["mapping"],
        "drl_sets": [{name: entry[name] for name in _WHICH_EDITION} for entry in run["drl_sets"]],
        "algorithms": run["versions"]["algorithms"],
        "program": run["versions"]["engine"],
    }


_WHICH_EDITION = ("set", "edition", "sha256", "set_sha256")
"""What a level is, and what decides for whom and from when it applies."""


def _sites(result: Result) -> list[str]:
    """Sites of the exams, and those that sent phantoms alone."""
    panel = result.sections.get("image_quality")
    return sorted({*result.sites, *(panel["runs"]["sites"] if panel else ())})


def _file_sha256(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _keep_run(run: Mapping[str, Any], exit_code: int) -> None:
    from dose_audit.store.models import AuditRun

    AuditRun.objects.update_or_create(
        run_id=run["id"],
        defaults={
            "created_at": datetime.fromisoformat(run["created_at"]).astimezone(),
            "since": date.fromisoformat(run["since"]),
            "until": date.fromisoformat(run["until"]),
            "versions": run["versions"],
            "drl_sets": run["drl_sets"],
            "mapping_version": run["mapping"]["version"],
            "frozen_input_sha256": run["frozen_input_sha256"],
            "exit_code": exit_code,
        },
    )
