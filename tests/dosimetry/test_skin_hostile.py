"""Any report, however wrong, gives a finite dose with a status or a reason, and never an exception."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dose_audit.dosimetry.skin import Budget, skin_dose
from tests.dosimetry.skin_events import event, exam

CERTAIN = Budget(0, 0, 0, 0, 0, 0, 0)
anything = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -1.0, 1e-300, 1e300, 90.0, 180.0, 400.0]),
)
entry = st.one_of(  # what a report's rest, a dictionary of what it said beside, may hold
    anything,
    st.text(max_size=3),
    st.sampled_from([10**400, -(10**400), True, b"1", [], {}, [1.0, 2.0], {"a": None}]),
)
FIELDS = [
    "dose_rp_mgy",
    "kap_gy_cm2",
    "kvp_kv",
    "primary_angle_deg",
    "secondary_angle_deg",
    "primary_end_angle_deg",
    "secondary_end_angle_deg",
    "table_longitudinal_mm",
    "table_lateral_mm",
    "table_height_mm",
    "table_tilt_deg",
    "table_rotation_deg",
    "table_cradle_deg",
    "source_isocentre_mm",
    "source_detector_mm",
    "source_reference_point_mm",
    "collimated_field_area_cm2",
    "field_width_mm",
    "field_height_mm",
]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.dictionaries(st.sampled_from(FIELDS), anything, max_size=5),
    filters=st.lists(st.tuples(st.sampled_from(["Cu", "Al", "Pb", None]), anything), max_size=2),
    shutters=st.one_of(
        st.none(),
        st.text(max_size=3),
        st.dictionaries(st.sampled_from([f"{side}_shutter_mm" for side in ("left", "right", "top", "bottom")]), entry),
    ),
    distance=entry,
    model=st.sampled_from(["AXIOM-Artis", "unheard of"]),
)
def test_nonsense_in_no_nonsense_out(
    changes: dict[str, Any], filters: list[Any], shutters: Any, distance: Any, model: str
) -> None:
    rest = {"wedges_and_shutters": shutters, "final_distance_source_to_detector_mm": distance}
    wrong = event(2, filters=filters, extra=rest, **changes)
    result = skin_dose(exam(event(1), wrong, model=model), budget=CERTAIN, cell_mm=20.0)
    assert len(result.events) == 2
    peak = result.peak
    if peak.value is None:
        assert peak.reason
    else:
        assert math.isfinite(peak.value) and peak.value >= 0.0
    for share in result.events:
        assert share.included or share.reason
        assert all(math.isfinite(number) for number in share.numbers.values())


def test_a_distance_next_to_nothing_is_none() -> None:
    for distance in (1e-300, 10**400, 1e300):
        wrong = event(1, source_detector_mm=None, extra={"final_distance_source_to_detector_mm": distance})
        peak = skin_dose(exam(wrong), budget=CERTAIN, cell_mm=20.0).peak
        assert peak.value is None or math.isfinite(peak.value)
