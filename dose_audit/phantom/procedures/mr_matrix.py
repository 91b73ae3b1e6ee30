"""The pixels of an MR image as they were acquired, which a reconstruction may have interpolated."""

from __future__ import annotations

from dose_audit.phantom.workbench import Workbench

__all__ = ["acquired_mm", "acquired_sides_mm"]


def acquired_mm(bench: Workbench) -> float:
    """The larger side of a pixel as it was acquired: zero-filling to a finer matrix resolves nothing more."""
    return max(acquired_sides_mm(bench))


def acquired_sides_mm(bench: Workbench) -> tuple[float, float]:
    """Sides of a pixel as it was acquired, down and across; those of the image where the header does not tell."""
    sizes = list(bench.spacing_mm)
    sent = bench.header("AcquisitionMatrix") or ()
    try:
        matrix = [int(one) for one in sent]
    except (TypeError, ValueError):
        matrix = []
    if len(matrix) == 4:
        # Frequency rows and columns, phase rows and columns; the direction that an axis does not have is 0.
        for axis in (0, 1):
            lines = max(matrix[axis], matrix[axis + 2])
            if 0 < lines < bench.series.shape[axis] <= 4 * lines:
                sizes[axis] = min(sizes[axis] * bench.series.shape[axis] / lines, _by_field(bench, matrix, axis) or 1e9)
    return sizes[0], sizes[1]


def _by_field(bench: Workbench, matrix: list[int], axis: int) -> float | None:
    """Side of an acquired pixel along the phase direction, where its field is told to be a part of the other one's.

    Some makers fill a narrower field up to a square image: fewer lines then are no coarser pixels.
    """
    try:
        share = float(bench.header("PercentPhaseFieldOfView")) / 100.0
    except (TypeError, ValueError):
        return None
    lines = matrix[axis + 2]
    if not lines or not 0.2 <= share < 1.0:
        return None
    other = 1 - axis
    field = share * bench.series.shape[other] * bench.spacing_mm[other]
    return max(field / lines, bench.spacing_mm[axis])
