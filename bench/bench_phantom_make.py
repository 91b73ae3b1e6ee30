"""Digital phantoms: seconds of processor time and memory for a 100-slice CatPhan with noise as DICOM, and for radiographs.

``python -m bench.bench_phantom_make [--slices 100]``. The floor beside it is what numpy alone takes to draw that much
white noise and to transform it back and forth, which coloured noise needs whoever renders the objects.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import fft

from dose_audit.phantom.digital import Pose, edge_image, recipe, slice_positions, write_series

__all__ = ["main"]

POSES = {"upright": Pose(10.0, -5.0, 0.0, 12.0), "tilted": Pose(10.0, -5.0, 0.0, 12.0, 1.0, -1.0)}
PROJECTIONS = ("acr-mri-large", "leeds-tor18", "edge-dx", "pmma-al")


def taken(action: Callable[[], object]) -> float:
    """Processor seconds, which a busy machine does not change as it does the clock's."""
    started = time.process_time()
    action()
    return time.process_time() - started


def noise_floor(slices: int) -> float:
    """Processor seconds to draw and transform the noise of so many slices of 512 x 512."""
    random = np.random.default_rng(0)

    def draw() -> None:
        for _ in range(slices):
            fft.irfft2(fft.rfft2(random.standard_normal((512, 512), dtype=np.float32)))

    return taken(draw)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=100)
    slices = parser.parse_args().slices
    catphan = recipe("catphan504")
    positions = slice_positions(-115.0, -115.0 + 1.7 * (slices - 1), 1.7)
    acquisition = replace(catphan.acquisition, z_mm=positions, thickness_mm=2.0)
    with tempfile.TemporaryDirectory() as folder:
        print(f"noise alone, {slices} slices {noise_floor(slices):18.2f} s")
        for name, pose in POSES.items():
            seconds = taken(
                lambda pose=pose: write_series(Path(folder) / "ct", catphan, acquisition=acquisition, pose=pose)
            )
            print(f"CatPhan 504, {slices} slices, {name:<14} {seconds:5.2f} s")
        for kind in PROJECTIONS:
            phantom = recipe(kind)
            print(f"{kind:<36} {taken(lambda p=phantom: write_series(Path(folder) / p.kind, p)):5.2f} s")
    print(f"edge_image 256 x 256                 {taken(edge_image):5.2f} s")
    print(f"most memory                          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:5.0f} MB")


if __name__ == "__main__":
    main()
