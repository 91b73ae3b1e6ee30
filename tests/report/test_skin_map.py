"""The skin dose map as a figure, a page and a picture: what it shows is what was computed."""

from __future__ import annotations

import re
import struct

import pytest

from dose_audit.dosimetry.skin import Budget, SkinDose, skin_dose
from dose_audit.extract.codes import Code
from dose_audit.report.charts.skin_map import skin_map_figure
from dose_audit.report.skin_page import skin_map_page, skin_map_png, skin_map_svg
from tests.dosimetry.skin_events import event, exam


def made(**changes: object) -> SkinDose:
    return skin_dose(exam(event(primary_angle_deg=-30.0, **changes)), budget=Budget(0.1, 0, 0, 0, 0, 0, 0))


def cells(result: SkinDose) -> list[dict[str, float]]:
    layers = skin_map_figure(result).spec["layer"]
    return max((layer["data"]["values"] for layer in layers if "values" in layer.get("data", {})), key=len)


def test_the_picture_keeps_the_peak_and_every_hit_cell() -> None:
    result = made()
    drawn = cells(result)
    assert max(cell["dose"] for cell in drawn) == pytest.approx(result.peak.value, rel=1e-3)
    area_cm2 = sum((cell["x2"] - cell["x"]) * (cell["y2"] - cell["y"]) for cell in drawn)
    hit = (result.dose_map.dose_mgy > 0).mean() * abs(result.dose_map.around_mm[0]) * 2
    hit *= abs(result.dose_map.along_mm[-1] - result.dose_map.along_mm[0]) / 100.0
    assert hit <= area_cm2 < 1.45 * hit


@pytest.mark.parametrize(
    ("relation", "side", "left_of_picture"),
    [
        ("headfirst", "supine", True),
        ("feetfirst", "supine", False),
        ("headfirst", "prone", True),
        ("feetfirst", "prone", False),
    ],
)
def test_the_patients_sides_are_where_the_picture_says(relation: str, side: str, left_of_picture: bool) -> None:
    # The tube stands at the table's left (RAO 30). A back is seen with the patient's left on the left, a front not.
    result = made(
        patient_table_relationship=Code("x", "SRT", relation), patient_orientation_modifier=Code("y", "SRT", side)
    )
    hottest = max(cells(result), key=lambda cell: cell["dose"])
    assert (hottest["x"] < 0) is left_of_picture
    names = str(skin_map_figure(result).spec)
    assert ("front (table side)" in names) is (side == "prone")
    patients_left = left_of_picture if side == "supine" else not left_of_picture
    assert (result.peak_place_mm[0] > 0) is patients_left


def test_words_say_value_uncertainty_and_place() -> None:
    words = skin_map_figure(made()).alt
    assert re.search(r"the peak is [\d.]+ mGy ± [\d.]+ mGy \(k = 2\), back, \d+ cm to the patient's left", words)


def test_the_page_stands_alone_and_shows_names_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    # The bundle is the report's, and tested there; it takes seconds to put together.
    monkeypatch.setattr("dose_audit.report.skin_page.offline_bundle", lambda: "const vegaEmbed = null;")
    page = skin_map_page(made(), "<script>alert(1)</script>")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)
    assert "default-src 'none'" in page


def test_the_pictures_are_pictures() -> None:
    result = made()
    picture = skin_map_png(result, scale=1.0)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 600 and height > 200
    assert skin_map_png(result, dark=True, scale=1.0) != picture
    assert skin_map_svg(result).startswith("<svg xmlns=")


def test_no_map_is_the_callers_error() -> None:
    with pytest.raises(ValueError, match="no skin dose map"):
        skin_map_figure(skin_dose(exam(event(table_height_mm=None))))
