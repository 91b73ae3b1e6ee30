"""Leeds TOR 18FG for radiography and fluoroscopy, and a plate with the numbers of TOR CDR in an arrangement of our own."""

from __future__ import annotations

from dataclasses import replace

from dose_audit.phantom.digital.acquisition import Acquisition, NoiseModel
from dose_audit.phantom.digital.objects import BarGroup, Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom, polar
from dose_audit.phantom.digital.render import Scene

FIELD, PLASTIC, INNER = 3000.0, 2100.0, 2300.0
OUTER_MM, RING_MM, RING_WIDTH_MM = 182.0, 150.0, 1.0
DISC_R_MM, DISC_MM = 60.3, 8.0
CONTRAST_PERCENT = (16.7, 14.8, 12.8, 10.9, 8.8, 7.5, 6.7, 5.3, 4.5, 3.9, 3.2, 2.7, 2.2, 1.7, 1.5, 1.3, 1.1, 0.9)
DISC_THETA = (*range(30, 151, 15), *range(210, 331, 15))
BARS_PER_MM = (0.5, 0.56, 0.63, 0.71, 0.8, 0.9, 1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8, 3.15, 3.55, 4.0, 4.5,
               5.0)  # fmt: skip
# Rows of the bar insert lie along the axis to the lead square (+x), three groups in each.
ROW_X_MM = (12.9, 3.15, -3.65, -8.65, -12.05, -14.6, -16.35)
SLITS = 5
COLUMN_Y_MM = (18.0, 6.0, -7.0)
BAR_LENGTH_MM, INSERT_SIGNAL = 8.0, 900.0


def build() -> DigitalPhantom:
    """On a DX detector of 0.2 mm pixels."""
    used = Acquisition(
        "DX",
        (1024, 1024),
        (0.2, 0.2),
        psf_sigma_mm=0.15,
        aperture=True,
        noise=NoiseModel("quantum", 12.0, reference=INNER),
    )
    phantom = DigitalPhantom("leeds-tor18", Scene(FIELD), used, OUTER_MM)
    scene = phantom.scene
    scene.add(Disc(0, 0, OUTER_MM), value=PLASTIC, name="plastic")
    scene.add(Disc(0, 0, RING_MM + RING_WIDTH_MM), value=300.0, inside=PLASTIC, name="lead ring")
    scene.add(Disc(0, 0, RING_MM - RING_WIDTH_MM), value=INNER, inside=300.0, name="inner")
    for k, (theta, percent) in enumerate(zip(DISC_THETA, CONTRAST_PERCENT, strict=True)):
        value = INNER * (1 - percent / 100)
        phantom.insert(f"disc {k + 1}", polar(DISC_R_MM, theta), DISC_MM, value, inside=INNER, contrast_percent=percent)
    for name, x, square, centre in (("lead square", 50.0, 150.0, 100.0), ("grey square", -50.0, 1950.0, 2200.0)):
        phantom.insert(name, (x, 0.0), 25.0, square, inside=INNER, what=Rectangle(x, 0, 25.0, 25.0), disc_mm=11.0)
        scene.add(Disc(x, 0, 11.0), value=centre, inside=square, name=f"disc in the {name}")
    scene.add(Rectangle(0.0, 5.5, 38.0, 44.0), value=INSERT_SIGNAL, inside=INNER, name="bar insert")
    for k, frequency in enumerate(BARS_PER_MM):
        row = k // 3
        x, y = ROW_X_MM[row], COLUMN_Y_MM[k % 3]
        phantom.insert(
            f"{frequency} lp/mm", (x, y), min((SLITS - 0.5) / frequency, BAR_LENGTH_MM), INNER, inside=INSERT_SIGNAL,
            what=BarGroup(x, y, frequency, SLITS, BAR_LENGTH_MM, 0.0), frequency_per_mm=frequency, bars=SLITS, across_deg=0.0,
        )  # fmt: skip
    phantom.expected.update(lead_square_deg=0.0, ring_mm=RING_MM, contrast_falls="clockwise")
    return phantom


def build_xa() -> DigitalPhantom:
    """On an angiography unit, 1.15 times magnified."""
    phantom = build()
    phantom.kind = "leeds-tor18-xa"
    phantom.acquisition = replace(
        phantom.acquisition, modality="XA", magnification=1.15, spacing_mm=(0.23, 0.23), psf_sigma_mm=0.2
    )
    return phantom


# TOR CDR: numbers and sizes of details from the maker's page; contrasts and arrangement are not known to this program.
CDR_LARGE_PERCENT = tuple(11.4 / 1.25**k for k in range(17))
CDR_THETA = tuple(30.0 + 18.75 * k for k in range(17))
CDR_LARGE_R_MM, CDR_LARGE_MM, CDR_SMALL_R_MM, CDR_SMALL_MM = 57.0, 11.0, 47.0, 0.5
CDR_GREY_R_MM, CDR_GREY_MM, CDR_GREY_THETA = 39.0, 5.6, tuple(216.0 + 12.0 * k for k in range(10))
CDR_BARS_PER_MM = tuple(round(0.5 * 10 ** (k / 20), 2) for k in range(30))
CDR_COLUMN_Y_MM, CDR_GAP_MM = (10.0, 0.0, -10.0), 0.8


def cdr_bar_places() -> list[tuple[float, float, float]]:
    """x, y and frequency of the bar groups: rows of three along x, coarse to fine."""
    places, x = [], -19.0
    for row in range(0, len(CDR_BARS_PER_MM), 3):
        width = (SLITS - 0.5) / CDR_BARS_PER_MM[row]
        x += width / 2
        places += [(x, y, f) for y, f in zip(CDR_COLUMN_Y_MM, CDR_BARS_PER_MM[row : row + 3], strict=True)]
        x += width / 2 + CDR_GAP_MM
    return places


def build_cdr() -> DigitalPhantom:
    """The details of TOR CDR on a plate like that of TOR 18FG: 17 large, 17 small, 10 grey points, bars to 14.1 lp/mm."""
    used = Acquisition(
        "DX", (1300, 1300), (0.15, 0.15), psf_sigma_mm=0.1, aperture=True, noise=NoiseModel("quantum", 12.0, reference=INNER)
    )  # fmt: skip
    phantom = DigitalPhantom("leeds-tor-cdr", Scene(FIELD), used, OUTER_MM)
    scene = phantom.scene
    scene.add(Disc(0, 0, OUTER_MM), value=PLASTIC, name="plastic")
    scene.add(Disc(0, 0, RING_MM + RING_WIDTH_MM), value=300.0, inside=PLASTIC, name="lead ring")
    scene.add(Disc(0, 0, RING_MM - RING_WIDTH_MM), value=INNER, inside=300.0, name="inner")
    for k, (theta, percent) in enumerate(zip(CDR_THETA, CDR_LARGE_PERCENT, strict=True)):
        value = INNER * (1 - percent / 100)
        place = polar(CDR_LARGE_R_MM, theta)
        phantom.insert(f"large {k + 1}", place, CDR_LARGE_MM, value, inside=INNER, contrast_percent=percent)
        small = INNER * (1 - 0.95 / 1.22**k)
        phantom.insert(f"small {k + 1}", polar(CDR_SMALL_R_MM, theta), CDR_SMALL_MM, small, inside=INNER)
    for k, theta in enumerate(CDR_GREY_THETA):
        phantom.insert(
            f"grey {k + 1}", polar(CDR_GREY_R_MM, theta), CDR_GREY_MM, INNER * (0.95 - 0.09 * k), inside=INNER
        )
    scene.add(Rectangle(3.0, 0.0, 46.0, 31.0), value=INSERT_SIGNAL, inside=INNER, name="bar insert")
    scene.add(Rectangle(-23.5, 0.0, 4.0, 12.0), value=INSERT_SIGNAL, inside=INNER, name="lead patch")
    for x, y, frequency in cdr_bar_places():
        phantom.insert(
            f"{frequency} lp/mm", (x, y), min((SLITS - 0.5) / frequency, BAR_LENGTH_MM), INNER, inside=INSERT_SIGNAL,
            what=BarGroup(x, y, frequency, SLITS, BAR_LENGTH_MM, 0.0), frequency_per_mm=frequency, bars=SLITS, across_deg=0.0,
        )  # fmt: skip
    phantom.expected.update(ring_mm=RING_MM, contrast_falls="clockwise")
    return phantom
