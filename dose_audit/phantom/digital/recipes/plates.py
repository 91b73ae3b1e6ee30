"""Plates of radiography: a scale plate with markers at known distances, and a constancy plate of the DIN 6868-13 kind."""

from __future__ import annotations

from math import exp

from dose_audit.phantom.digital.acquisition import Acquisition, NoiseModel
from dose_audit.phantom.digital.objects import Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.render import Scene

SIGNAL = 2400.0
# Scale plate: discs of lead, 3 mm, on a grid of 50 mm; a tenth and an eleventh tell the turn and the handedness.
MARKER_MM, PITCH_MM = 3.0, 50.0
MARKERS = (*((PITCH_MM * x, PITCH_MM * y) for y in (-1, 0, 1) for x in (-1, 0, 1)), (25.0, -50.0), (50.0, 35.0))
# Constancy plate, x to the right and y down: wedge of copper (mm), low-contrast discs (per cent), lines of its square.
WEDGE_MM = (2.30, 1.85, 1.40, 1.00, 0.65, 0.30, 0.00)
WEDGE_X_MM, WEDGE_Y_MM = (-63.0, 62.0), (-82.0, -65.0)
COPPER_PER_MM = 1.2
DISCS_PERCENT = (0.8, 1.2, 2.0, 2.8, 4.0, 5.6)
DISC_X_MM, DISC_Y_MM, DISC_MM = tuple(-42.5 + 17.0 * k for k in range(6)), 73.0, 10.0
SQUARE_MM, LINE_MM = 90.0, 1.0
DOTS_MM = ((-108.5, -3.8), (-87.9, -24.2), (-81.3, 27.3), (-56.2, 2.2))


def _acquisition(shape: tuple[int, int], pixel_mm: float) -> Acquisition:
    noise = NoiseModel("quantum", 18.0, reference=SIGNAL)
    return Acquisition("DX", shape, (pixel_mm, pixel_mm), psf_sigma_mm=0.12, aperture=True, noise=noise)


def build_scale() -> DigitalPhantom:
    """Eleven lead discs at known places."""
    phantom = DigitalPhantom("scale-plate", Scene(SIGNAL), _acquisition((800, 800), 0.2), 160.0)
    for k, (x, y) in enumerate(MARKERS):
        phantom.insert(f"marker {k + 1}", (x, y), MARKER_MM, 0.2 * SIGNAL, inside=SIGNAL, material="lead")
    phantom.expected.update(pitch_mm=PITCH_MM)
    return phantom


def build_constancy() -> DigitalPhantom:
    """Step wedge, low-contrast discs, the square's lines and four dots about the place of the bar insert."""
    phantom = DigitalPhantom("constancy-plate", Scene(SIGNAL), _acquisition((1250, 1250), 0.2), 240.0)
    width = (WEDGE_X_MM[1] - WEDGE_X_MM[0]) / len(WEDGE_MM)
    height, y = WEDGE_Y_MM[1] - WEDGE_Y_MM[0], 0.5 * sum(WEDGE_Y_MM)
    for k, copper in enumerate(WEDGE_MM):
        x = WEDGE_X_MM[0] + (k + 0.5) * width
        value = SIGNAL * exp(-COPPER_PER_MM * (copper - WEDGE_MM[-1]))
        if copper > 0:
            phantom.insert(
                f"step {copper}",
                (x, y),
                width,
                value,
                inside=SIGNAL,
                what=Rectangle(x, y, width, height),
                copper_mm=copper,
            )
    for x, percent in zip(DISC_X_MM, DISCS_PERCENT, strict=True):
        phantom.insert(
            f"disc {percent}",
            (x, DISC_Y_MM),
            DISC_MM,
            SIGNAL * (1 - percent / 100),
            inside=SIGNAL,
            contrast_percent=percent,
        )
    for side in (-SQUARE_MM, SQUARE_MM):
        for line in (Rectangle(side, 0.0, LINE_MM, 2 * SQUARE_MM), Rectangle(0.0, side, 2 * SQUARE_MM, LINE_MM)):
            phantom.scene.add(line, value=0.75 * SIGNAL, inside=SIGNAL, name="line of the square")
    for k, (x, y_dot) in enumerate(DOTS_MM):
        phantom.scene.add(Disc(x, y_dot, 2.0), value=0.3 * SIGNAL, inside=SIGNAL, name=f"dot {k + 1}")
    phantom.expected.update(copper_per_mm=COPPER_PER_MM, range=exp(COPPER_PER_MM * (WEDGE_MM[0] - WEDGE_MM[-1])))
    return phantom
