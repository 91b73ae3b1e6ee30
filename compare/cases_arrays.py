"""Cases of one image each, handed over as an array: slanted edge, bar pattern, noise power spectrum."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compare.case import Case, Quantity
from dose_audit.phantom.digital import NoisePowerSpectrum, bar_image, edge_image, noise_image
from dose_audit.phantom.digital.metric.edge import edge_profile

BOTH = ("ours", "pylinac")
EDGE_FREQUENCIES_PER_MM = (0.5, 1.0, 2.0, 3.0)
BAR_FREQUENCIES_PER_MM = (0.5, 1.0, 1.5, 2.0, 2.5)
CUPPING_HU_PER_MM2, TILT_HU_PER_MM = 1.2e-3, (0.02, 0.03)
Prepared = tuple[Path, list[Quantity]]


def _write(folder: Path, image: NDArray[np.float64], told: dict[str, Any]) -> Path:
    np.save(folder / "image.npy", image)
    (folder / "input.json").write_text(json.dumps(told))
    return folder


def _edge(folder: Path, *, noise_sd: float) -> Prepared:
    image, truth = edge_image(3.0, 0.15, 0.15, noise_sd=noise_sd, seed=1)
    told = {"spacing_mm": truth["spacing_mm"], "angle_deg": 3.0, "frequencies_per_mm": EDGE_FREQUENCIES_PER_MM}
    off, mtf = (0.02, 0.015) if noise_sd > 0 else (0.01, 0.005)
    asked = [Quantity("MTF50", "/mm", truth["mtf50_per_mm"], off, True),
             Quantity("MTF10", "/mm", truth["mtf10_per_mm"], off, True)]  # fmt: skip
    for f in EDGE_FREQUENCIES_PER_MM:
        value = float(np.interp(f, truth["frequency_per_mm"], truth["mtf"]))
        asked.append(Quantity(f"MTF at {f:g} /mm", "1", value, mtf))
    return _write(folder, image, told), asked


def _edge_spread(folder: Path) -> Prepared:
    _, truth = edge_image(3.0, 0.15, 0.15)
    step = 0.15 / 4
    distance = (np.arange(1024, dtype=np.float64) - 511.5) * step
    asked = [Quantity("MTF50", "/mm", truth["mtf50_per_mm"], 0.01, True),
             Quantity("MTF10", "/mm", truth["mtf10_per_mm"], 0.01, True)]  # fmt: skip
    return _write(folder, edge_profile(truth, distance), {"step_mm": step}), asked


def _bars(folder: Path, *, noise_sd: float) -> Prepared:
    image, truth = bar_image(BAR_FREQUENCIES_PER_MM, noise_sd=noise_sd, seed=1)
    groups = [{"frequency_per_mm": group["frequency_per_mm"], **group["roi"]} for group in truth["groups"]]
    told = {"spacing_mm": truth["spacing_mm"], "groups": groups, "solid": truth["solid_roi"], "gap": truth["gap_roi"]}
    first = truth["groups"][0]["ctf"]
    asked = []
    for group in truth["groups"][1:]:
        f = group["frequency_per_mm"]
        asked.append(Quantity(f"MTF at {f:g} /mm", "1", group["mtf"], 0.005))
        asked.append(Quantity(f"relative square-wave response at {f:g} /mm", "1", group["ctf"] / first, 0.005))
    return _write(folder, image, told), asked


def _noise(folder: Path, *, spectrum: NoisePowerSpectrum, trend: bool) -> Prepared:
    size = 128
    image, truth = noise_image(
        spectrum,
        shape=(768, 768),
        spacing_mm=0.5,
        cupping_per_mm2=CUPPING_HU_PER_MM2 if trend else 0.0,
        tilt_per_mm=TILT_HU_PER_MM if trend else (0.0, 0.0),
        seed=1,
    )
    nps = truth["nps"]
    told = {"spacing_mm": [0.5, 0.5], "roi_size": size, "variance": nps["variance"], "white": spectrum.white}
    one_bin = 1.0 / (size * 0.5)
    asked = [Quantity("integral over variance", "1", 1.0, 0.01), Quantity("f_av", "/mm", nps["f_av_per_mm"], one_bin)]
    if not spectrum.white:
        asked.append(Quantity("f_peak", "/mm", nps["f_peak_per_mm"], one_bin))
    return _write(folder, image, told), asked


WHITE, COLOURED = NoisePowerSpectrum(10.0), NoisePowerSpectrum(10.0, 0.35)

CASES = (
    Case("edge", "Slanted edge", "Edge at 3°, no noise", "edge", BOTH, partial(_edge, noise_sd=0.0), 0,
         "Gaussian blur of 0.15 mm, pixels of 0.15 mm with their aperture, 256 × 256."),
    Case("edge-cnr100", "Slanted edge", "Edge at 3°, step of 100 noise SD", "edge", BOTH, partial(_edge, noise_sd=20.0)),
    Case("edge-cnr40", "Slanted edge", "Edge at 3°, step of 40 noise SD", "edge", BOTH, partial(_edge, noise_sd=50.0)),
    Case("edge-spread", "Slanted edge", "The same edge as an edge spread function, oversampled four times", "esf",
         ("pylinac",), _edge_spread, 0, "What pylinac's class makes of it when its caller does the oversampling: what"
         " remains is the finite difference that is not corrected."),
    *(Case(f"bars-{sd:g}", "Bar pattern", f"Five bar groups, contrast 800, noise SD {sd:g}", "bars", BOTH,
           partial(_bars, noise_sd=sd), 0 if sd == 20 else 1,
           "Two quantities with a truth each: the sine-wave MTF (ours) and the square-wave response relative to the first"
           " group (pylinac's rMTF), since the programs do not measure the same." if sd == 0 else "")
      for sd in (0.0, 8.0, 20.0)),
    Case("nps-white", "Noise power spectrum", "White noise, SD 10", "nps", BOTH,
         partial(_noise, spectrum=WHITE, trend=False), 1, "768 × 768 pixels of 0.5 mm, regions of 128 overlapped by half."),
    Case("nps-coloured", "Noise power spectrum", "Noise as of filtered back-projection, SD 10", "nps", BOTH,
         partial(_noise, spectrum=COLOURED, trend=False)),
    Case("nps-trend", "Noise power spectrum", "The same over cupping and a tilt", "nps", BOTH,
         partial(_noise, spectrum=COLOURED, trend=True), 0),
)  # fmt: skip
