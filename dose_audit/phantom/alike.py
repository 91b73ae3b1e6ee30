"""Phantoms that images do not tell apart: what is measured at the same place in all of them, and what is not."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Workbench, find_locator

__all__ = ["elsewhere", "located", "turned_otherwise"]

# Drawings of one insert differ by less from model to model.
_SAME_MM = 1.5
_SAME_DEG = 1.0

Placed = tuple[Definition, Pose]


def located(bench: Workbench, others: Sequence[Definition]) -> list[Placed]:
    """Each of the phantoms that a series may show instead, as it would lie."""
    return [(one, find_locator(one.locator).locate(bench, one)) for one in others]


def turned_otherwise(pose: Pose, others: Sequence[Placed]) -> str:
    """Names of the phantoms as which it would lie turned otherwise; empty where there is none."""
    return " or ".join(
        other.name
        for other, its in others
        if abs((its.roll_deg - pose.roll_deg + 180.0) % 360.0 - 180.0) > _SAME_DEG or its.mirrored != pose.mirrored
    )


def elsewhere(measure: Measure, mine: Placed, others: Sequence[Placed]) -> str:
    """Names of the phantoms in which something else would be measured, or at another place; empty where there is none.

    Parameters
    ----------
    measure : Measure
        Of the phantom that was chosen.
    mine : (Definition, Pose)
    others : sequence of (Definition, Pose)
    """
    return " or ".join(other.name for other, pose in others if not _same(measure, mine, (other, pose)))


def _same(measure: Measure, mine: Placed, other: Placed) -> bool:
    (definition, pose), (its_definition, its_pose) = mine, other
    its = next((one for one in its_definition.measures if one.name == measure.name), None)
    if its is None or its.procedure != measure.procedure or its_pose.status == "not_measurable":
        return False
    if measure.module and not its.module:
        return False
    if measure.module:
        planes = (
            whose.z_in_series(of.module(one.module).z_mm)
            for of, whose, one in ((definition, pose, measure), (its_definition, its_pose, its))
        )
        if abs(next(planes) - next(planes)) > _SAME_MM:
            return False
    there = its_definition.features_of(its)
    return all(any(_same_feature(one, pose, its, its_pose) for its in there) for one in definition.features_of(measure))


def _same_feature(one: Feature, pose: Pose, its: Feature, its_pose: Pose) -> bool:
    """Whether two drawings have the same thing at a place, whatever they call it."""
    if (one.shape, one.size_mm, one.material, one.nominal) != (its.shape, its.size_mm, its.material, its.nominal):
        return False
    at, its_at = pose.to_pixel(one.x_mm, one.y_mm), its_pose.to_pixel(its.x_mm, its.y_mm)
    apart = (abs(a - b) * step for a, b, step in zip(at, its_at, pose.spacing_mm, strict=True))
    return hypot(*apart) <= _SAME_MM
