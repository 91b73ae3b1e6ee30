"""The map against PySkinDose's on the same made-up beams, from every side, and against its own energy balance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dose_audit.dosimetry.skin import REFERENCE_ADULT, Support, find_convention
from dose_audit.dosimetry.skin.beam import Beam, read_beam
from dose_audit.dosimetry.skin.dose_map import make_map
from dose_audit.dosimetry.skin.shots import Shots, lay_out
from tests.dosimetry.pyskindose_peer import peer_peak_mgy
from tests.dosimetry.skin_events import event

ANGLES = [(0, 0), (30, 0), (-35, 25), (0, -30), (90, 0), (-90, 0), (45, -20)]


def beam(primary: float, secondary: float, **changes: object) -> Beam:
    convention = find_convention("Siemens", "AXIOM-Artis")
    assert convention is not None
    made = read_beam(
        event(primary_angle_deg=primary, secondary_angle_deg=secondary, filters=[("Cu", 0.1)], **changes), convention
    )
    assert isinstance(made, Beam)
    return made


def without_table(shots: Shots) -> Shots:
    return replace(shots, log_transmission=np.zeros((len(shots), 2)))


@pytest.mark.parametrize(("primary", "secondary"), ANGLES)
def test_one_field_from_any_side(primary: float, secondary: float, tmp_path: Path) -> None:
    # Without a table: its path differs (the peer's is one number at any angle), all else must agree.
    one = beam(primary, secondary, kap_gy_cm2=8.0)
    peer = peer_peak_mgy([one], tmp_path, table=1.0)
    ours = make_map(without_table(lay_out([one])), REFERENCE_ADULT, Support(), 5.0).peak_mgy
    assert ours == pytest.approx(peer, rel=0.02)


def test_many_fields_that_overlap(tmp_path: Path) -> None:
    beams = [
        beam(angle, tilt, table_lateral_mm=600.0 + 8.0 * n, table_longitudinal_mm=3.0 * n, kvp_kv=70.0 + 3 * n)
        for n, (angle, tilt) in enumerate([(0, 0), (8, 5), (-12, 10), (15, -8), (25, 0), (5, 20)])
    ]
    peer = peer_peak_mgy(beams, tmp_path, table=1.0)
    ours = make_map(without_table(lay_out(beams)), REFERENCE_ADULT, Support(), 5.0).peak_mgy
    assert ours == pytest.approx(peer, rel=0.02)


@pytest.mark.parametrize(("primary", "secondary"), ANGLES)
def test_what_reaches_the_skin_is_the_kap(primary: float, secondary: float) -> None:
    # Kerma times area square to the rays is the same at any distance: with neither table nor backscatter the skin
    # gets back the KAP, whatever its shape. Small field: kerma falls off-axis by the cube of a cosine, 0.3 % here.
    shots = without_table(lay_out([beam(primary, secondary, kap_gy_cm2=4.0)]))
    free = replace(shots, knots=np.ones((1, 5)), factor=np.ones(1))
    found = make_map(free, REFERENCE_ADULT, Support(), 1.0)
    outline, along = found.outline, found.along_mm
    way = np.stack(
        np.broadcast_arrays(
            outline.x_mm[:, None] - free.source_mm[0, 0],
            outline.y_mm[:, None] - free.source_mm[0, 1],
            along[None, :] - free.source_mm[0, 2],
        ),
        axis=-1,
    )
    slant = -(way[..., :2] * outline.normal[:, None, :]).sum(axis=-1) / np.linalg.norm(way, axis=-1)
    cell_cm2 = (outline.around_mm[1] - outline.around_mm[0]) * (along[1] - along[0]) / 100.0
    kap_gy_cm2 = (found.dose_mgy * slant).sum() * cell_cm2 / 1000.0
    assert kap_gy_cm2 == pytest.approx(4.0, rel=0.025)  # whole cells of 1 mm at the edges
