"""Runs a retrieval: finds a period's studies, plans each, has it sent, checks that it arrived, writes down its fate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dose_audit.retrieve.arrivals import arrived, await_arrival
from dose_audit.retrieve.entries import ArchiveError, Instance, Study
from dose_audit.retrieve.find import find_studies, look_into
from dose_audit.retrieve.journal import BEGUN
from dose_audit.retrieve.pace import BusyNow, Pace
from dose_audit.retrieve.plan import covered_by, plan_images, plan_reports

if TYPE_CHECKING:
    from dose_audit.receive.spool import Spool
    from dose_audit.retrieve.arrivals import Arrival
    from dose_audit.retrieve.entries import Archive, Series
    from dose_audit.retrieve.journal import Journal, Kept
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["Planned", "RetrieveSummary", "fetch_studies", "retrieve"]

MAX_ATTEMPTS = 5
"""Runs in which a study may fail before it is left alone; ``again`` asks for it once more."""
LATE_DAYS = 7
"""Days for which a study that held no dose is looked at again: reports are often sent after the images."""
_FAILURES_IN_A_ROW = 3
_MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Planned:
    """One study of a dry run."""

    study: Study
    reports: int
    images: int


@dataclass(slots=True)
class RetrieveSummary:
    """What a retrieval did.

    Attributes
    ----------
    found : int
        Studies that the archive told of.
    already_here, done_before, given_up : int
        Not asked for: an exam of it is stored; an earlier run dealt with it; it failed in `MAX_ATTEMPTS` runs.
    fetched, nothing, failed : int
        Studies that are in the spool now; that hold nothing which tells dose; that could not be had, or not whole.
    reports, images, bytes : int
        Objects that arrived.
    unasked, other_study : int
        Objects that were sent though nobody asked (not kept); that name another study than the archive did (kept).
    planned : list of Planned
        What a dry run would fetch.
    failures : list of (str, str)
        Study Instance UID and reason, the first 1,000.
    truncated : list of (date, str)
        Day and modality of which the archive did not tell everything.
    left_out : Counter
        Answers that could not be used, by reason.
    stopped : str
        Why the run ended before its time; empty when it did not.
    """

    found: int = 0
    already_here: int = 0
    done_before: int = 0
    given_up: int = 0
    fetched: int = 0
    nothing: int = 0
    failed: int = 0
    reports: int = 0
    images: int = 0
    bytes: int = 0
    unasked: int = 0
    other_study: int = 0
    planned: list[Planned] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    truncated: list[tuple[date, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    stopped: str = ""

    def record(self) -> dict[str, Any]:
        """As plain values for JSON."""
        plain = {name: getattr(self, name) for name in _COUNTS}
        return plain | {
            "planned": [
                {
                    "study_instance_uid": one.study.study_instance_uid,
                    "day": one.study.day.isoformat() if one.study.day else None,
                    "modalities": list(one.study.modalities),
                    "station_name": one.study.station_name,
                    "reports": one.reports,
                    "images": one.images,
                }
                for one in self.planned
            ],
            "failures": [{"study_instance_uid": uid, "reason": reason} for uid, reason in self.failures],
            "truncated": [{"day": day.isoformat(), "modality": modality} for day, modality in self.truncated],
            "left_out": dict(self.left_out),
            "stopped": self.stopped or None,
        }

    def fail(self, study: Study, reason: str) -> None:
        """Count a study that could not be had."""
        self.failed += 1
        if len(self.failures) < _MAX_LISTED:
            self.failures.append((study.study_instance_uid, reason))


_COUNTS = (
    "found", "already_here", "done_before", "given_up", "fetched", "nothing", "failed",
    "reports", "images", "bytes", "unasked", "other_study",
)  # fmt: skip

Known = Callable[[Sequence[str]], set[str]]
"""Study Instance UIDs → those of which an exam is stored."""


def retrieve(
    settings: ArchiveSettings,
    archive: Archive,
    spool: Spool,
    journal: Journal,
    since: date,
    until: date,
    *,
    known: Known = lambda uids: set(),
    modalities: Sequence[str] = (),
    again: bool = False,
    dry_run: bool = False,
    finding: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RetrieveSummary:
    """Fetch the dose of a period's studies. Safe to interrupt and to run again: it goes on where it was.

    Parameters
    ----------
    settings : ArchiveSettings
    archive : Archive
        Opened by `open_archive`.
    spool : Spool
        Where objects go; for C-MOVE the spool of the listener that the archive sends to.
    journal : Journal
    since, until : date
        Study dates, both included.
    known : callable, optional
        Tells which studies are stored already.
    modalities : sequence of str, optional
        By default those of the settings.
    again : bool
        Ask for studies, too, that are stored or were dealt with.
    dry_run : bool
        Plan, and neither fetch nor write down anything.
    finding, progress : callable, optional
        Called with days asked and all days; with studies done and all studies.

    Returns
    -------
    RetrieveSummary

    Raises
    ------
    ArchiveError
        The archive cannot be asked at all.
    SpoolError
        Nothing can be stored now. What was fetched so far is kept and written down.
    """
    asked = tuple(modalities) or settings.modalities
    try:
        found = find_studies(archive, since, until, asked, result_limit=settings.result_limit, progress=finding)
    except BusyNow as reason:
        return RetrieveSummary(stopped=str(reason))
    summary = fetch_studies(
        settings,
        archive,
        spool,
        journal,
        found.studies,
        known=known,
        modalities=asked,
        again=again,
        dry_run=dry_run,
        progress=progress,
    )
    summary.truncated = found.truncated
    summary.left_out.update(found.left_out)
    return summary


def fetch_studies(
    settings: ArchiveSettings,
    archive: Archive,
    spool: Spool,
    journal: Journal,
    studies: Sequence[Study],
    *,
    known: Known = lambda uids: set(),
    modalities: Sequence[str] = (),
    again: bool = False,
    dry_run: bool = False,
    pace: Pace | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RetrieveSummary:
    """Fetch the dose of given studies; parameters as of `retrieve`."""
    summary = RetrieveSummary(found=len(studies))
    fetching = _Fetching(settings, archive, spool, journal, tuple(modalities) or settings.modalities, summary, dry_run)
    pace = pace or Pace(settings)
    uids = [study.study_instance_uid for study in studies]
    # What a run that was killed left of a study looks like the whole of it, once it is stored.
    here = set() if again else known(uids) - journal.unfinished(uids)
    kept = {} if again else journal.kept(settings.name, uids)
    in_a_row = 0
    for number, study in enumerate(studies, start=1):
        uid = study.study_instance_uid
        if uid in here:
            summary.already_here += 1
        elif (reason := _settled(kept.get(uid), study)) == "done":
            summary.done_before += 1
        elif reason == "given up":
            summary.given_up += 1
        else:
            try:
                pace.study()
                fetching.study(study)
                in_a_row = 0
            except BusyNow as busy:
                summary.stopped = str(busy)
                break
            except ArchiveError as error:
                fetching.failed(study, str(error))
                in_a_row += 1
                if in_a_row == _FAILURES_IN_A_ROW:
                    summary.stopped = f"{in_a_row} studies failed in a row: {error}"
                    break
        if progress is not None:
            progress(number, len(studies))
    return summary


def _settled(kept: Kept | None, study: Study) -> str:
    """Whether an earlier run dealt with a study."""
    if kept is None or kept.state == BEGUN:
        return ""
    if kept.state == "failed":
        return "given up" if kept.attempts >= MAX_ATTEMPTS else ""
    if kept.state == "nothing" and study.day is not None:
        late = datetime.combine(study.day + timedelta(days=LATE_DAYS), datetime.min.time(), kept.updated_at.tzinfo)
        return "done" if kept.updated_at > late else ""
    return "done"


class _Fetching:
    """The steps for one study."""

    def __init__(
        self,
        settings: ArchiveSettings,
        archive: Archive,
        spool: Spool,
        journal: Journal,
        modalities: tuple[str, ...],
        summary: RetrieveSummary,
        dry_run: bool,
    ) -> None:
        self._settings = settings
        self._archive = archive
        self._spool = spool
        self._journal = journal
        self._modalities = modalities
        self._summary = summary
        self._dry_run = dry_run

    def study(self, study: Study) -> None:
        """Fetch the reports, then the images that no report covers, check what came, write it down."""
        series = self._list(self._archive.series(study.study_instance_uid))
        study = look_into(study, series)
        most = self._settings.max_study_objects
        reports = plan_reports(series, self._instances)
        problem = "" if self._dry_run else self._bring(reports[:most])
        covered = covered_by(self._classes(reports))
        images = plan_images(series, self._instances, covered=covered, modalities=self._modalities)
        if self._dry_run:
            self._summary.planned.append(Planned(study, len(reports), len(images)))
            return
        problem = self._bring(images[: max(0, most - len(reports))]) or problem
        self._journal.remember_device(self._settings.name, study)
        self._told(study, reports, images, problem)

    def failed(self, study: Study, reason: str) -> None:
        """Write down that a study could not be had."""
        self._summary.fail(study, reason)
        if not self._dry_run:
            self._settle(study, "failed", reason)

    def _instances(self, series: Series) -> list[Instance]:
        answers = self._archive.instances(series.study_instance_uid, series.series_instance_uid)
        return self._list(answers)

    def _list(self, answers: Any) -> list:
        self._summary.left_out.update(answers.left_out)
        if answers.truncated:
            raise ArchiveError("the archive did not tell everything that the study holds")
        return answers.entries

    def _bring(self, wanted: Sequence[Instance]) -> str:
        """Ask for what is not here; what did not come is asked for once more, one by one."""
        missing = _without(wanted, arrived(self._spool, wanted))
        if not missing:
            return ""
        self._journal.begin(self._settings.name, missing[0].study_instance_uid)
        problem = self._ask(missing)
        left = _without(missing, self._wait(missing, problem))
        if left and len(missing) > 1:
            for instance in left:
                problem = self._ask([instance]) or problem
            self._wait(left, problem)
        return problem

    def _ask(self, instances: Sequence[Instance]) -> str:
        delivery = self._archive.fetch(instances, self._spool)
        self._summary.unasked += delivery.unasked
        return delivery.problem

    def _wait(self, wanted: Sequence[Instance], problem: str) -> Arrival:
        """Only what another process takes in for us can still be on its way."""
        patient = self._settings.method == "move" and not problem
        return await_arrival(self._spool, wanted, self._settings.settle_s if patient else 0.0)

    def _classes(self, reports: Sequence[Instance]) -> list[str]:
        """SOP Classes of reports: what the archive says, else what arrived."""
        here = arrived(self._spool, [report for report in reports if not report.sop_class_uid]).here
        return [report.sop_class_uid or here.get(report.sop_instance_uid, "") for report in reports]

    def _told(self, study: Study, reports: Sequence[Instance], images: Sequence[Instance], problem: str) -> None:
        wanted = [*reports, *images]
        arrival = arrived(self._spool, wanted)
        came = [sum(one.sop_instance_uid in arrival.here for one in group) for group in (reports, images)]
        self._summary.reports += came[0]
        self._summary.images += came[1]
        self._summary.bytes += arrival.bytes
        self._summary.other_study += len(arrival.other_study)
        if not wanted:
            self._summary.nothing += 1
            self._settle(study, "nothing", "no dose report and no image that tells dose")
        elif sum(came) == len(wanted):
            self._summary.fetched += 1
            self._settle(study, "fetched", "", *came)
        else:
            if len(wanted) > self._settings.max_study_objects:
                problem = f"at most {self._settings.max_study_objects} are asked for"
            reason = problem or "the archive said that all was sent"
            reason = f"{len(wanted) - sum(came)} of {len(wanted)} objects did not arrive: {reason}"
            self._summary.fail(study, reason)
            self._settle(study, "failed", reason, *came)

    def _settle(self, study: Study, state: str, reason: str, reports: int = 0, images: int = 0) -> None:
        self._journal.settle(
            self._settings.name, study.study_instance_uid, state, reason=reason, reports=reports, images=images
        )


def _without(wanted: Iterable[Instance], arrival: Arrival) -> list[Instance]:
    return [instance for instance in wanted if instance.sop_instance_uid not in arrival.here]
