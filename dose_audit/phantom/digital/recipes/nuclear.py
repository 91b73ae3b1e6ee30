"""Nuclear medicine: gamma camera flood, four-bar lines, quadrant bars, and the uniform PET cylinder."""

from __future__ import annotations

from dose_audit.phantom.digital.acquisition import Acquisition, Effects, NoiseModel, slice_positions
from dose_audit.phantom.digital.objects import BarGroup, Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.render import Scene

FIELD_MM = (533.0, 387.0)
FLOOD_COUNTS, LINE_COUNTS, BAR_COUNTS = 10_000.0, 4000.0, 400.0
QUADRANTS = {2.5: (-1, -1, 0.0), 3.0: (1, -1, 90.0), 3.5: (1, 1, 0.0), 4.0: (-1, 1, 90.0)}
PET_BQML = 6668.0


def _planar(shape: tuple[int, int], pixel_mm: float, sigma_mm: float) -> Acquisition:
    return Acquisition(
        "NM", shape, (pixel_mm, pixel_mm), psf_sigma_mm=sigma_mm, aperture=True, noise=NoiseModel("poisson")
    )


def build_flood() -> DigitalPhantom:
    """Intrinsic flood, field 533 x 387 mm, 10 000 counts a pixel of 4.8 mm."""
    used = _planar((128, 128), 4.8, 1.6)
    phantom = DigitalPhantom("nm-flood", Scene(0.0), used, FIELD_MM[1])
    phantom.scene.add(Rectangle(0, 0, *FIELD_MM), value=FLOOD_COUNTS, name="field")
    phantom.expected.update(field_mm=list(FIELD_MM), counts=FLOOD_COUNTS)
    return phantom


def build_flood_bump() -> DigitalPhantom:
    """The flood with a warm disc (+ 6 %, 40 mm) and a cold one (- 4 %, 30 mm)."""
    phantom = build_flood()
    phantom.kind = "nm-flood-bump"
    phantom.insert("warm", (90.0, -60.0), 40.0, 1.06 * FLOOD_COUNTS, inside=FLOOD_COUNTS)
    phantom.insert("cold", (-100.0, 50.0), 30.0, 0.96 * FLOOD_COUNTS, inside=FLOOD_COUNTS)
    return phantom


def build_four_bar() -> DigitalPhantom:
    """Two pairs of line sources 1 mm wide, 100 mm apart, along x and along y."""
    phantom = DigitalPhantom("four-bar", Scene(20.0), _planar((512, 512), 1.1, 1.7), 260.0)
    for name, x, y, width, height in (
        ("left line", -50.0, 0.0, 1.0, 260.0),
        ("right line", 50.0, 0.0, 1.0, 260.0),
        ("upper line", 0.0, -50.0, 260.0, 1.0),
        ("lower line", 0.0, 50.0, 260.0, 1.0),
    ):
        phantom.insert(name, (x, y), 1.0, LINE_COUNTS, inside=0.0, what=Rectangle(x, y, width, height))
    phantom.expected.update(separation_mm=100.0, fwhm_mm=2.3548 * 1.7)
    return phantom


def build_quadrant_bars() -> DigitalPhantom:
    """Lead bars of 4.0, 3.5, 3.0 and 2.5 mm in four quadrants of 180 mm."""
    phantom = DigitalPhantom("quadrant-bars", Scene(0.0), _planar((512, 512), 1.1, 1.6), 380.0)
    phantom.scene.add(Rectangle(0, 0, 520.0, 380.0), value=BAR_COUNTS, name="field")
    for width, (sx, sy, across) in QUADRANTS.items():
        at, frequency = (sx * 94.0, sy * 94.0), 1 / (2 * width)
        group = BarGroup(*at, frequency, int(180 / (2 * width)), 180.0, across)
        phantom.insert(
            f"bars {width} mm", at, 180.0, 0.15 * BAR_COUNTS, inside=BAR_COUNTS, what=group, bar_mm=width, across_deg=across,
            frequency_per_mm=frequency,
        )  # fmt: skip
    return phantom


def build_pet() -> DigitalPhantom:
    """Uniform cylinder, 200 mm wide and long, 6668 Bq/ml."""
    used = Acquisition(
        "PT",
        (200, 200),
        (2.73, 2.73),
        thickness_mm=3.27,
        z_mm=slice_positions(-111.18, 111.18, 3.27),
        psf_sigma_mm=2.5,
        noise=NoiseModel("coloured", 400.0, f0_per_mm=0.08, power=0.5),
        effects=Effects(),
    )
    phantom = DigitalPhantom("pet-cylinder", Scene(0.0), used, 200.0, modules={"middle": 0.0})
    phantom.insert(
        "cylinder", (0.0, 0.0), 200.0, PET_BQML, inside=0.0, z=(-100.0, 100.0), module="middle", what=Disc(0, 0, 200)
    )
    phantom.expected.update(activity_bqml=PET_BQML, volume_ml=6283.2)
    return phantom
