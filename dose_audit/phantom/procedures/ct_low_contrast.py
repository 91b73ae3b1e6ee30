"""Low-contrast rods in CT: which are seen against the measured noise, by size and nominal contrast."""

from __future__ import annotations

from collections.abc import Iterable

from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, module_plane
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["rods"]


def rods(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Number of rods seen in each set of one nominal contrast."""
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    if isinstance(plane, str):
        yield absent(measure.name, "1", plane, measure, title="Low contrast")
        return
    raise RuntimeError("to follow")
