"""A lean drawing shows what the library's own drawing shows, in fewer elements."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
import vl_convert
from numpy.typing import NDArray
from PIL import Image

from dose_audit.report.lean_drawing import lean_drawing

NAMESPACE = '<svg xmlns="http://www.w3.org/2000/svg" '


def drawn(svg: str) -> NDArray[np.int64]:
    """The drawing on white as an array, drawn by a renderer that knows nothing of us."""
    image = Image.open(io.BytesIO(vl_convert.svg_to_png(svg.replace("<svg ", NAMESPACE, 1), scale=2))).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(ground, image).convert("RGB"), dtype=np.int64)


def whole_drawing(mark: dict[str, Any], count: int, width: int) -> str:
    """A chart of so many marks in two colours, as the library draws it."""
    draw = np.random.default_rng(5)
    rows = [
        {"x": float(x), "y": float(y), "of": "ab"[index % 2]}
        for index, (x, y) in enumerate(draw.lognormal(0, 0.4, (count, 2)))
    ]
    spec = {
        "data": {"values": rows},
        "mark": mark,
        "width": width,
        "height": 120,
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
            "color": {"field": "of", "type": "nominal"},
        },
    }
    svg: str = vl_convert.vegalite_to_svg(spec)
    return re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg)


@pytest.mark.parametrize(
    "mark",
    [
        {"type": "point", "filled": True, "opacity": 0.3, "size": 60},
        {"type": "point", "filled": True, "shape": "triangle-up", "opacity": 1},
        {"type": "point", "filled": False, "opacity": 0.6},
        {"type": "point", "filled": True, "shape": "diamond", "stroke": "white", "strokeWidth": 2, "size": 200},
        {"type": "tick", "opacity": 0.35},
        {"type": "line", "strokeDash": [4, 2]},
    ],
    ids=lambda mark: f"{mark['type']}-{mark.get('shape', 'own')}-{mark.get('opacity', 1)}",
)
def test_the_picture_is_the_same_in_fewer_elements(mark: dict[str, Any]) -> None:
    whole = whole_drawing(mark, 60, 220)
    lean = lean_drawing(whole)
    assert len(re.findall(r"<\w", lean)) < 0.8 * len(re.findall(r"<\w", whole))
    assert len(lean) < 0.6 * len(whole)
    difference = np.abs(drawn(whole) - drawn(lean))
    # Rims may be rounded by a hundredth of a pixel; no mark is missing, moved, or of another strength.
    assert difference.max() <= 90
    assert np.mean(difference.max(axis=-1) > 24) < 0.001


def test_translucent_marks_that_overlap_stay_darker_together() -> None:
    dot = '<path transform="translate({},20)" d="M6,0A6,6,0,1,1,-6,0A6,6,0,1,1,6,0" fill="#000000" opacity="0.4"/>'
    svg = f'<svg width="80" height="40"><g fill="none">{dot.format(20)}{dot.format(26)}{dot.format(60)}</g></svg>'
    lean = lean_drawing(svg)
    assert lean.count("<path") == 2
    picture = drawn(lean)[:, :, 0]
    alone, together = picture[40, 120], picture[40, 46]
    assert (alone, together) == pytest.approx((255 * 0.6, 255 * 0.36), abs=3)


def test_what_is_turned_or_refers_elsewhere_is_left_as_it_is() -> None:
    turned = '<svg><path transform="translate(1,2) rotate(45)" d="M0,0h3" stroke="#111"/></svg>'
    assert "rotate(45)" in lean_drawing(turned)
    referring = '<svg><g><use xlink:href="#a"/></g></svg>'
    assert lean_drawing(referring) == referring
