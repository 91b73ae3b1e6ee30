"""Detector test images of radiography: flat field (DX and CR), tungsten edge, lead bar pattern."""

from __future__ import annotations

from dose_audit.phantom.digital.acquisition import Acquisition, Effects, NoiseModel
from dose_audit.phantom.digital.objects import BarGroup, Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.pose import Pose
from dose_audit.phantom.digital.render import Scene

SIGNAL = 2000.0
NOISE = NoiseModel("quantum", 20.0, reference=SIGNAL)
EDGE_TILT_DEG = 2.5
# Huttner type 38, line pairs per mm.
BARS_PER_MM = (0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.1, 3.4, 3.7, 4.0, 4.3, 4.6, 5.0)
LEAD_TRANSMISSION = 0.25


def acquisition(modality: str = "DX", pixel_mm: float = 0.15, shape: tuple[int, int] = (1024, 1024)) -> Acquisition:
    """A detector with area pixels and quantum noise of 1 % at a signal of 2000."""
    return Acquisition(modality, shape, (pixel_mm, pixel_mm), psf_sigma_mm=0.12, aperture=True, noise=NOISE)


def _flat(kind: str, used: Acquisition) -> DigitalPhantom:
    from dataclasses import replace

    used = replace(used, effects=Effects(bias=(0.0, 0.02, -0.01)))
    phantom = DigitalPhantom(kind, Scene(SIGNAL), used, used.shape[0] * used.spacing_mm[0])
    phantom.expected.update(signal=SIGNAL, snr=SIGNAL / NOISE.sd, bias_radius_mm=phantom.body_diameter_mm / 2)
    return phantom


def build_flat_dx() -> DigitalPhantom:
    """Flat field of a DX detector with a slight heel."""
    return _flat("flat-dx", acquisition())


def build_flat_cr() -> DigitalPhantom:
    """Flat field of a CR plate."""
    return _flat("flat-cr", acquisition("CR", 0.2, (880, 880)))


def build_edge_dx() -> DigitalPhantom:
    """Tungsten plate of 100 x 75 mm, one long edge through the middle, tilted by 2.5 degrees."""
    phantom = DigitalPhantom("edge-dx", Scene(SIGNAL), acquisition(), 100.0)
    x, y, _ = Pose(roll_deg=EDGE_TILT_DEG).to_image([37.5, 0.0, 0.0])
    plate = Rectangle(float(x), float(y), 75.0, 100.0, EDGE_TILT_DEG)
    phantom.insert("plate", (float(x), float(y)), 75.0, 40.0, inside=SIGNAL, what=plate, material="tungsten")
    phantom.expected.update(
        edge_point_mm=[0.0, 0.0], tilt_deg=EDGE_TILT_DEG, normal_deg=EDGE_TILT_DEG, bright=SIGNAL, dark=40.0
    )
    return phantom


def build_bars() -> DigitalPhantom:
    """Lead bar pattern, type 38, in two columns at 45 degrees to the rows, with solid lead and open areas."""
    used = acquisition(pixel_mm=0.1, shape=(1000, 1000))
    phantom = DigitalPhantom("bars", Scene(SIGNAL), used, 80.0)
    dark = SIGNAL * LEAD_TRANSMISSION
    turn = Pose(roll_deg=45.0)

    def place(x: float, y: float) -> tuple[float, float]:
        at = turn.to_image([x, y, 0.0])
        return float(at[0]), float(at[1])

    x, y = place(0.0, -24.0)
    phantom.insert("lead", (x, y), 8.0, dark, inside=SIGNAL, what=Rectangle(x, y, 30.0, 8.0, 45.0), material="lead")
    phantom.insert("open", place(0.0, 0.0), 3.0, SIGNAL, inside=SIGNAL, what=Disc(*place(0.0, 0.0), 3.0))
    at_y = {-1: -17.0, 1: -17.0}
    for k, frequency in enumerate(BARS_PER_MM):
        column = -1 if k % 2 == 0 else 1
        bars = 5 if frequency < 1 else 8
        height = (2 * bars - 1) / (2 * frequency)
        at = place(column * 9.0, at_y[column] + height / 2)
        at_y[column] += height + 1.5
        group = BarGroup(*at, frequency, bars, 10.0, 135.0)
        phantom.insert(
            f"{frequency} lp/mm", at, min(height, 10.0), dark, inside=SIGNAL, what=group, material="lead",
            frequency_per_mm=frequency, across_deg=135.0, bars=bars,
        )  # fmt: skip
    phantom.expected.update(bar=dark, gap=SIGNAL)
    return phantom
