"""Error, spread and coverage of a measurement over many noise draws, for the tests of regions, geometry and slices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dose_audit.measured import Measured

#: The suite draws a few noise fields; with ``IMAGE_QUALITY_GRID=1`` it draws thirty.
SEEDS = 30 if os.environ.get("IMAGE_QUALITY_GRID") == "1" else 5


@dataclass(frozen=True)
class Errors:
    """Measured minus true, with the uncertainties reported beside them."""

    errors: np.ndarray
    uncertainties: np.ndarray

    @property
    def bias(self) -> float:
        return float(self.errors.mean())

    @property
    def worst(self) -> float:
        return float(np.abs(self.errors).max())

    def covered(self, k: float = 2.0) -> float:
        """Share of errors within `k` reported uncertainties."""
        return float(np.mean(np.abs(self.errors) <= k * self.uncertainties))


def errors_of(results: Sequence[tuple[Measured, float]]) -> Errors:
    """Errors of results against their truths; every result must be there, be sound and carry an uncertainty."""
    for measured, _ in results:
        assert measured.status == "ok", measured.reason
        assert measured.value is not None and measured.uncertainty is not None
    return Errors(
        np.array([float(m.value or 0.0) - truth for m, truth in results]),
        np.array([float(m.uncertainty or 0.0) for m, _ in results]),
    )
