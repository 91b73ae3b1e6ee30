"""What every detector looks at: the run's values, groups, exams and objects, and what earlier runs already
raised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from dose_audit.audit.kept import no_results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dose_audit.audit.charts import Series
    from dose_audit.audit.columns import Columns
    from dose_audit.audit.comparisons import JudgedGroup
    from dose_audit.audit.device_events import DeviceEvent
    from dose_audit.audit.exams import Received
    from dose_audit.audit.exposures import Exposures
    from dose_audit.audit.kept import KeptResults
    from dose_audit.audit.schedule import Schedule
    from dose_audit.audit.slips import Slip
    from dose_audit.audit.software import SoftwareChange
    from dose_audit.audit.steps import Step
    from dose_audit.audit.unmapped import UnmappedName
    from dose_audit.audit.values import Values
    from dose_audit.statistics import SilenceScan

__all__ = ["AuditContext", "KnownFinding"]

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """What an earlier run raised, as far as a detector needs it to recognise the same cause again."""

    kind: str
    site: str | None
    equipment: str | None
    evidence: dict[str, Any]
    key: str = ""
    standing: bool = False


@dataclass
class AuditContext:
    """Inputs and results of one run, for the detectors.

    Attributes
    ----------
    values : Values
    groups : list of JudgedGroup
    residual : array of float
        See `residuals.log_residuals`, with slips left out and steps taken out.
    slips, steps : list
        Found before the groups were judged, and after.
    silences : dict
        Scan of each device, by site and equipment.
    exams : Columns
        One row per exam of the period (and those without a date): identity of place, time, software, weight,
        warnings.
    objects : Received
        Received objects, counted, and those that were set aside.
    unmapped : list of UnmappedName
    until : datetime
        The moment of looking.
    schedule : Schedule
        When verdicts are given.
    software : list of SoftwareChange
        Changes of devices' software in the period.
    series : list of Series
        Every group and device with its running chart.
    exposures : Exposures
        What only single irradiation events tell.
    known : list of KnownFinding
    kept : KeptResults
        What earlier runs worked out, for sections that take long.
    events : list of DeviceEvent
        What happened to devices in the period, with the names that this run gives them.
    """

    values: Values
    groups: list[JudgedGroup]
    residual: NDArray[np.float64]
    slips: list[Slip]
    steps: list[Step]
    silences: dict[tuple[str, str], SilenceScan]
    exams: Columns
    objects: Received
    unmapped: list[UnmappedName]
    until: datetime
    schedule: Schedule
    software: list[SoftwareChange]
    series: list[Series]
    exposures: Exposures
    known: list[KnownFinding] = field(default_factory=list)
    kept: KeptResults = field(default_factory=no_results)
    events: list[DeviceEvent] = field(default_factory=list)

    _made: dict[Any, Any] = field(default_factory=dict, repr=False)

    def once(self, make: Callable[[AuditContext], Made]) -> Made:
        """What a function makes of this run, worked out for the first who asks."""
        if make not in self._made:
            self._made[make] = make(self)
        found: Made = self._made[make]
        return found

    def same_day(self, kind: str, site: str, equipment: str, evidence: str, day: date, *, within_days: int = 21) -> str:
        """Name a day as an earlier run named it, when that was about the same: an estimate moves as exams
        come in.

        Parameters
        ----------
        kind, site, equipment : str
            Of the finding.
        evidence : str
            Entry of the evidence that holds the day.
        day : date
            As estimated now.
        within_days : int

        Returns
        -------
        str
            ISO date for the finding's identity.
        """
        nearest: tuple[int, str] | None = None
        for known in self.known:
            if (known.kind, known.site, known.equipment) == (
                kind,
                site,
                equipment,
            ) and evidence in known.evidence:
                named = str(known.evidence.get("named_day") or known.evidence[evidence])[:10]
                distance = abs((date.fromisoformat(named) - day).days)
                if distance <= within_days and (nearest is None or (distance, named) < nearest):
                    nearest = (distance, named)
        return nearest[1] if nearest else day.isoformat()
