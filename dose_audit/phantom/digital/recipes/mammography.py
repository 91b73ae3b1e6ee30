"""Mammography test objects: flat PMMA, PMMA with 0.2 mm aluminium, ACR digital mammography phantom, gold discs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dose_audit.phantom.digital.acquisition import Acquisition, NoiseModel
from dose_audit.phantom.digital.objects import Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom, polar
from dose_audit.phantom.digital.pose import Pose
from dose_audit.phantom.digital.render import Scene

SIGNAL = 2000.0
ALUMINIUM_CONTRAST = 0.14

# ACR phantom: diameters mm of fibres and specks; thickness mm of masses and radius mm of the region that shows them.
FIBRES_MM = (0.89, 0.75, 0.61, 0.54, 0.40, 0.30)
SPECKS_MM = (0.33, 0.28, 0.23, 0.20, 0.17, 0.14)
MASSES_MM = ((1.0, 3.0), (0.75, 2.25), (0.50, 1.5), (0.38, 1.14), (0.25, 0.75), (0.20, 0.6))
ROWS_Y_MM = (49.0, 29.0, 9.0, -11.0, -31.0, -51.0)
SPECK_STAR = ((0.0, 0.0), *((6.6, theta) for theta in (35.0, 107.0, 179.0, 251.0, 323.0)))

# Gold discs of version 3.4: diameters mm, thicknesses um, and the thicknesses that each diameter has.
GOLD_DIAMETERS_MM = (2.0, 1.6, 1.25, 1.0, 0.8, 0.63, 0.5, 0.4, 0.31, 0.25, 0.2, 0.16, 0.13, 0.1, 0.08, 0.06)
GOLD_UM = (0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.13, 0.16, 0.20, 0.25, 0.36, 0.50, 0.71, 1.0, 1.42, 2.0)
GOLD_RANGE_UM = {
    2.0: (0.04, 0.25), 1.6: (0.03, 0.36), 1.25: (0.03, 0.50), 1.0: (0.03, 0.71), 0.8: (0.03, 1.0), 0.63: (0.03, 1.42),
    0.5: (0.03, 2.0), 0.4: (0.03, 2.0), 0.31: (0.03, 2.0), 0.25: (0.04, 2.0), 0.2: (0.05, 2.0), 0.16: (0.06, 2.0),
    0.13: (0.08, 2.0), 0.1: (0.10, 2.0), 0.08: (0.13, 2.0), 0.06: (0.16, 1.42),
}  # fmt: skip
# Corners of the second discs as on the scoring sheet (the table that open programs read with): 1 top right, then
# clockwise, before the turn of 45 degrees; 0 where there is no cell.
GOLD_CORNERS = (
    "0321432123000000", "1123233121400000", "1311441433420000", "2434321323142000", "1131214242233100",
    "4214214134122410", "1424421322313142", "2112334144312141", "3314142232432312", "0242133114334411",
    "0013424322343344", "0004142244242131", "0000244342312421", "0000021232343434", "0000003233114332",
    "0000000422422340",
)  # fmt: skip
GOLD_CONTRAST_PERCENT = ((0.0, 0.1, 0.5, 1.0, 1.5, 2.0), (0.0, 1.57, 7.6, 14.55, 20.92, 26.76))
CELL_MM = 8.8
GOLD_NOISE = 60.0


def _acquisition(shape: tuple[int, int] = (2400, 1800)) -> Acquisition:
    noise = NoiseModel("quantum", 35.0, reference=SIGNAL)
    return Acquisition("MG", shape, (0.1, 0.1), psf_sigma_mm=0.06, aperture=True, noise=noise)


def build_pmma() -> DigitalPhantom:
    """PMMA plates over the whole detector."""
    phantom = DigitalPhantom("pmma", Scene(SIGNAL), _acquisition(), 240.0)
    phantom.expected.update(signal=SIGNAL, snr=SIGNAL / 35.0, pmma_mm=45.0)
    return phantom


def build_pmma_aluminium() -> DigitalPhantom:
    """PMMA with 0.2 mm of aluminium, 10 x 10 mm, its centre 60 mm from the chest wall (the left side)."""
    used = _acquisition()
    phantom = DigitalPhantom("pmma-al", Scene(SIGNAL), used, 240.0)
    x = -used.shape[1] * used.spacing_mm[1] / 2 + 60.0
    value = SIGNAL * (1 - ALUMINIUM_CONTRAST)
    phantom.insert(
        "aluminium", (x, 0.0), 10.0, value, inside=SIGNAL, what=Rectangle(x, 0.0, 10.0, 10.0), material="aluminium"
    )
    sd = (35.0, 35.0 * (1 - ALUMINIUM_CONTRAST) ** 0.5)
    phantom.expected.update(
        signal=SIGNAL, sd=list(sd), cnr=(SIGNAL - value) / ((sd[0] ** 2 + sd[1] ** 2) / 2) ** 0.5, pmma_mm=45.0
    )
    return phantom


def build_acr_dm() -> DigitalPhantom:
    """Masses, speck groups and fibres in six rows; contrasts are assumed, positions those of the drawing in use."""
    phantom = DigitalPhantom("acr-dm", Scene(SIGNAL), _acquisition(), 130.0)
    phantom.scene.add(Rectangle(0.0, 0.0, 70.0, 130.0), contrast=-0.02 * SIGNAL, name="insert")
    base = 0.98 * SIGNAL
    for k, y in enumerate(ROWS_Y_MM):
        thickness, radius = MASSES_MM[k]
        phantom.insert(
            f"mass {k + 1}", (22.0, -y), 2 * radius, base * (1 - 0.05 * thickness), inside=base, thickness_mm=thickness
        )
        size = SPECKS_MM[k]
        for j, (r, theta) in enumerate(SPECK_STAR):
            dx, dy = polar(r, theta)
            phantom.insert(f"speck {k + 1}.{j + 1}", (1.0 + dx, -y + dy), size, base * (1 - 0.9 * size), inside=base)
        width, angle = FIBRES_MM[k], 45.0 if k % 2 else -45.0
        at = (-20.0, -(y + 1.0))
        phantom.insert(
            f"fibre {k + 1}", at, width, base * (1 - 0.06 * width), inside=base, what=Rectangle(*at, 10.0, width, angle),
            length_mm=10.0, angle_deg=angle,
        )  # fmt: skip
    return phantom


def build_gold() -> DigitalPhantom:
    """Gold discs in a 45 degree matrix of version 3.4, one in the middle of each cell and one in a corner."""
    # More noise than in the other objects, so that most diameters have their threshold among the discs that are there.
    used = replace(_acquisition((2400, 2400)), noise=NoiseModel("quantum", GOLD_NOISE, reference=SIGNAL))
    phantom = DigitalPhantom("cdmam", Scene(SIGNAL), used, 200.0)
    turn = Pose(roll_deg=45.0)
    for i, diameter in enumerate(GOLD_DIAMETERS_MM):
        for j, um in enumerate(GOLD_UM):
            corner = int(GOLD_CORNERS[i][j])
            low, high = GOLD_RANGE_UM[diameter]
            if not low <= um <= high:
                continue
            percent = float(np.interp(um, *GOLD_CONTRAST_PERCENT))
            x, y = (j - 7.5) * CELL_MM, (i - 7.5) * CELL_MM
            off = CELL_MM / 4
            second = (x + (off if corner in (1, 2) else -off), y + (off if corner in (2, 3) else -off))
            for name, (px, py) in (("centre", (x, y)), ("corner", second)):
                at = turn.to_image(np.array([px, py, 0.0]))
                phantom.insert(
                    f"{diameter} mm {um} um {name}", (float(at[0]), float(at[1])), diameter, SIGNAL * (1 - percent / 100),
                    inside=SIGNAL, what=Disc(float(at[0]), float(at[1]), diameter), thickness_um=um,
                    contrast_percent=percent, corner=corner,
                )  # fmt: skip
    phantom.expected.update(cell_mm=CELL_MM, corners="1 top right, then clockwise, before the turn of 45 degrees")
    return phantom
