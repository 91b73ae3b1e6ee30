"""What an analysis gives back: measurements with outline and judgement, the pose, what was refused, all as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Tolerance
from dose_audit.phantom.pose import Pose

if TYPE_CHECKING:
    from dose_audit.phantom.series import ImageSeries

__all__ = ["ALGORITHM_VERSION", "Analysis", "Judgement", "PhantomMeasurement", "Roi"]

# Raised whenever a value could come out differently from the same images; stored beside every measurement.
ALGORITHM_VERSION = "9"

Judgement = Literal["pass", "remedial", "suspension", "no_baseline", "no_tolerance", "not_measured"]


@dataclass(frozen=True, slots=True)
class Roi:
    """Outline of what was measured where, for the picture: in pixels of one frame.

    ``kind`` is ``circle`` (points: centre; size: radius), ``polygon`` (corners), ``line`` (two ends), ``point``.
    Points are (row, column); sizes in pixels along row and column.
    """

    kind: str
    points: tuple[tuple[float, float], ...]
    size_px: tuple[float, float] = (0.0, 0.0)
    frame: int = 0
    label: str = ""

    def as_record(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "points": [[round(r, 2), round(c, 2)] for r, c in self.points],
            "size_px": [round(one, 2) for one in self.size_px],
            "frame": self.frame,
            "label": self.label,
        }


@dataclass(frozen=True, slots=True)
class PhantomMeasurement:
    """One measured value of a phantom, where it was measured, and how it was judged."""

    measured: Measured
    title: str = ""
    module: str = ""
    rois: tuple[Roi, ...] = ()
    tolerance: Tolerance | None = None
    judgement: Judgement = "no_tolerance"
    baseline: float | None = None

    @property
    def name(self) -> str:
        return self.measured.name

    def as_record(self) -> dict[str, Any]:
        own = self.measured
        limits = self.tolerance
        return {
            "name": own.name,
            "title": self.title or own.name,
            "module": self.module,
            "value": own.value,
            "unit": own.unit,
            "uncertainty": own.uncertainty,
            "status": own.status,
            "reason": own.reason,
            "method": own.method,
            "quality": own.quality,
            "roi": [roi.as_record() for roi in self.rois],
            "tolerance": None
            if limits is None
            else {
                "about": limits.about,
                "nominal": limits.nominal,
                "baseline": self.baseline,
                "remedial": list(limits.remedial),
                "suspension": list(limits.suspension),
                "unit": limits.unit,
                "source": limits.source,
                "edition": limits.edition,
                "status": limits.status,
            },
            "judgement": self.judgement,
        }


@dataclass
class Analysis:
    """Everything one phantom in one series gave."""

    definition: Definition
    series: ImageSeries
    pose: Pose
    measurements: list[PhantomMeasurement] = field(default_factory=list)
    recognised_by: tuple[str, ...] = ()
    companions: tuple[ImageSeries, ...] = ()
    notes: list[str] = field(default_factory=list)
    seconds: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Literal["fit", "remedial", "suspension", "incomplete", "not_judged"]:
        """Whether the room is fit for use by what was measured: the worst judgement; a doubt makes it incomplete."""
        found = {one.judgement for one in self.measurements}
        if "suspension" in found:
            return "suspension"
        if "remedial" in found:
            return "remedial"
        if "not_measured" in found:
            return "incomplete"
        return "fit" if "pass" in found else "not_judged"

    @property
    def reasons(self) -> list[str]:
        """Why it is not simply fit: a line for each measurement beyond its limits or, though it has limits, without a value."""
        lines = []
        for one in self.measurements:
            own = one.measured
            if one.judgement in ("remedial", "suspension"):
                value = "" if own.value is None else f" {own.value:.4g} {own.unit}"
                lines.append(f"{one.title or own.name}:{value} is beyond the {one.judgement} level")
            elif one.judgement == "not_measured":
                lines.append(f"{one.title or own.name}: {own.reason}")
        return lines

    def as_record(self) -> dict[str, Any]:
        """The contract of ``dose-audit phantom analyse --json``."""
        header = self.series.header
        return {
            "phantom": {
                "id": self.definition.id,
                "name": self.definition.name,
                "definition_sha256": self.definition.sha256,
                "recognised_by": list(self.recognised_by),
            },
            "series": {
                "study_instance_uid": str(header.get("StudyInstanceUID") or "") or None,
                "series_instance_uid": self.series.uid or None,
                "modality": self.series.modality,
                "description": str(header.get("SeriesDescription") or "") or None,
                "acquired": self.series.first.acquired or None,
                "frames": len(self.series.frames),
                "rows_columns": list(self.series.shape),
                "spacing_mm": None if self.series.spacing_mm is None else list(self.series.spacing_mm),
                "spacing_source": self.series.first.spacing_source,
                "thickness_mm": self.series.thickness_mm,
                "step_mm": self.series.step_mm,
                "inputs_sha256": self.series.inputs_sha256,
                "companions": [other.uid for other in self.companions],
                "notes": self.series.notes,
            },
            "equipment": {
                key: (str(header[keyword]) if header.get(keyword) is not None else None)
                for key, keyword in (
                    ("manufacturer", "Manufacturer"),
                    ("model_name", "ManufacturerModelName"),
                    ("station_name", "StationName"),
                    ("serial_number", "DeviceSerialNumber"),
                    ("software_versions", "SoftwareVersions"),
                )
            },
            "pose": self.pose.as_record(),
            "measurements": [one.as_record() for one in self.measurements],
            "verdict": self.verdict,
            "reasons": self.reasons,
            "notes": self.notes,
            "algorithm_version": ALGORITHM_VERSION,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }
