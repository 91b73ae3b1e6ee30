"""Skin dose map of one exam: the patient's skin unrolled, with the peak marked.

The trunk is cut open along the side away from the table. Seen from outside: a supine patient's back lies in the middle
with the patient's left on the left, a prone one's front with the patient's right on the left.
"""

from __future__ import annotations

from typing import Any

from dose_audit.dosimetry.skin.result import SkinDose
from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.theme import INK, QUIET

__all__ = ["PAPER", "peak_place", "peak_words", "skin_map_figure"]

PAPER = {False: "#ffffff", True: "#14191e"}
"""What lies under the map on a light and on a dark page."""

_DRAWN_CELL_MM = 10.0
_SHORTEST_MM = 400.0
# Neighbours overlap by a hair: it closes the seams that smoothing leaves between rectangles.
_OVERLAP_CM = 0.08
_INKS = {
    False: {"ink": INK, "quiet": QUIET, "skin": "#eef1f3", "rule": "#c3ccd4", "paper": PAPER[False]},
    True: {"ink": "#e8edf1", "quiet": "#a9b6c1", "skin": "#222b33", "rule": "#46535e", "paper": PAPER[True]},
}
# From pale to dark on paper and from dark to bright on a screen: the peak always stands out, also in greys.
_COLOURS = {
    False: ["#fff3cf", "#fdc86b", "#f58634", "#d0402b", "#8a1538", "#4a0a2f"],
    True: ["#3a2a55", "#7b3170", "#c0415d", "#ee7038", "#fcb53f", "#fdf6b8"],
}


def skin_map_figure(result: SkinDose, *, dark: bool = False) -> Figure:
    """The map as a figure of the report.

    Parameters
    ----------
    result : SkinDose
        With a map that has a peak.
    dark : bool
        For a dark page.

    Returns
    -------
    Figure
        Interactive specification, the finding in words, and the planes' peaks as its table.

    Raises
    ------
    ValueError
        If the exam has no map, or nothing on it.
    """
    if result.dose_map is None or result.peak.value is None or result.peak.value <= 0:
        raise ValueError("this exam has no skin dose map")
    inks = _INKS[dark]
    cells, sides, span = _cells(result)
    spec = finished(_chart(result, cells, sides, span, inks, _COLOURS[dark]))
    for part in ("axis", "legend"):
        spec["config"][part].update(labelColor=inks["quiet"], titleColor=inks["ink"])
    spec["config"]["axis"].update(gridColor=inks["rule"], domainColor=inks["rule"], tickColor=inks["rule"])
    rows = [[name, _plain(value, 3)] for name, value in sorted(result.by_plane_mgy.items())]
    return Figure("skin-map", "Skin dose map", _words(result), spec, ["Plane", "Peak skin dose (mGy)"], rows, wide=True)


def _cells(result: SkinDose) -> tuple[list[dict[str, float]], list[dict[str, Any]], dict[str, float]]:
    """Cells with dose, a centimetre each; where the body's sides are; and the picture's extent."""
    dose_map = result.dose_map
    assert dose_map is not None
    around, along = dose_map.around_mm, dose_map.along_mm
    cell = float(abs(around[1] - around[0]))
    every = max(1, round(_DRAWN_CELL_MM / cell))
    # The patient's left is on the left of the picture for a back, on the right for a front.
    left_on_left = not result.orientation.prone
    across = around if result.orientation.left_is_positive != left_on_left else -around
    up = -along if result.orientation.feet_first else along
    row, column = dose_map.peak_place
    here = up - up[column]
    drawn = []
    for first_row in range(0, len(around), every):
        rows = slice(first_row, first_row + every)
        for first_column in range(0, len(along), every):
            columns = slice(first_column, first_column + every)
            # The largest of the cells that are drawn as one: the picture never hides the peak.
            dose = float(dose_map.dose_mgy[rows, columns].max())
            if dose > 0:
                x, y = across[rows], here[columns]
                drawn.append(
                    {
                        "x": round((float(x.min()) - cell / 2) / 10, 2),
                        "x2": round((float(x.max()) + cell / 2) / 10 + _OVERLAP_CM, 2),
                        "y": round((float(y.min()) - cell / 2) / 10, 2),
                        "y2": round((float(y.max()) + cell / 2) / 10 + _OVERLAP_CM, 2),
                        "dose": float(f"{dose:.4g}"),
                    }
                )
    girth = cell * len(around) / 10
    middle, away = ("front", "back") if result.orientation.prone else ("back", "front")
    left, right = ("left", "right") if left_on_left else ("right", "left")
    if result.phantom is not None and result.phantom.shape == "flat":
        sides = [(-girth / 2, left), (0.0, f"{middle} (table side)"), (girth / 2, right)]
    else:
        quarter = girth / 4
        sides = [
            (-girth / 2, away),
            (-quarter, left),
            (0.0, f"{middle} (table side)"),
            (quarter, right),
            (girth / 2, away),
        ]
    lowest, highest = float(here.min()) / 10, float(here.max()) / 10
    lacking = max(0.0, _SHORTEST_MM / 10 - (highest - lowest)) / 2
    span = {
        "x": -girth / 2,
        "x2": girth / 2,
        "y": lowest - lacking,
        "y2": highest + lacking,
        "peak_x": float(across[row]) / 10,
    }
    return drawn, [{"x": place, "side": side} for place, side in sides], span


def _chart(
    result: SkinDose,
    cells: list[dict[str, float]],
    sides: list[dict[str, Any]],
    span: dict[str, float],
    inks: dict[str, str],
    colours: list[str],
) -> Any:
    import altair as alt

    x_scale = alt.Scale(domain=[span["x"], span["x2"]], nice=False, zero=False)
    y_scale = alt.Scale(domain=[span["y"], span["y2"]], nice=False, zero=False)
    x = alt.X(
        "x:Q",
        scale=x_scale,
        title="Around the patient, cm from the middle of the table side",
        axis=alt.Axis(grid=False),
    )
    y = alt.Y(
        "y:Q", scale=y_scale, title="feet  ←  along the patient, cm from the peak  →  head", axis=alt.Axis(grid=False)
    )
    top = float(result.peak.value or 0.0)
    skin = (
        alt.Chart(inline([span])).mark_rect(color=inks["skin"]).encode(x=x, x2=alt.X2("x2:Q"), y=y, y2=alt.Y2("y2:Q"))
    )
    dose = (
        alt.Chart(inline(cells))
        .mark_rect()
        .encode(
            x=x,
            x2=alt.X2("x2:Q"),
            y=y,
            y2=alt.Y2("y2:Q"),
            color=alt.Color(
                "dose:Q",
                title="Skin dose (mGy)",
                scale=alt.Scale(domain=[0, top], range=colours),
                legend=alt.Legend(orient="right", type="gradient", gradientLength=220, format="~r"),
            ),
            tooltip=[
                alt.Tooltip("dose:Q", title="Skin dose (mGy)", format=".3~r"),
                alt.Tooltip("x:Q", title="Around (cm)", format=".0f"),
                alt.Tooltip("y:Q", title="Along (cm)", format=".0f"),
            ],
        )
    )
    lines = (
        alt.Chart(inline([side for side in sides if span["x"] < side["x"] < span["x2"]]))
        .mark_rule(color=inks["quiet"], strokeDash=[2, 4], opacity=0.6)
        .encode(x=alt.X("x:Q"))
    )
    edges = {sides[0]["x"]: "left", sides[-1]["x"]: "right"}
    names: list[Any] = []
    for align in ("left", "center", "right"):
        chosen = [side for side in sides if edges.get(side["x"], "center") == align]
        names.append(
            alt.Chart(inline(chosen))
            .mark_text(align=align, baseline="bottom", dy=-6, color=inks["ink"], fontSize=12, fontWeight=600)
            .encode(x=alt.X("x:Q"), y=alt.value(0), text=alt.Text("side:N"))
        )
    at_right = span["peak_x"] > 0.5 * span["x2"]
    peak_at = alt.Chart(inline([{"x": span["peak_x"], "y": 0.0, "text": f"{_plain(top, 3)} mGy"}]))
    ring: dict[str, Any] = {"shape": "circle", "size": 240, "filled": False}
    halo = peak_at.mark_point(**ring, strokeWidth=5, color=inks["paper"], opacity=1).encode(
        x=alt.X("x:Q"), y=alt.Y("y:Q")
    )
    inner = peak_at.mark_point(**ring, strokeWidth=2, color=inks["ink"], opacity=1).encode(
        x=alt.X("x:Q"), y=alt.Y("y:Q")
    )
    beside: dict[str, Any] = {
        "align": "right" if at_right else "left",
        "dx": -14 if at_right else 14,
        "dy": -12,
        "fontSize": 13,
    }
    under = peak_at.mark_text(
        **beside, fontWeight=600, color=inks["paper"], stroke=inks["paper"], strokeWidth=4, strokeJoin="round"
    ).encode(x=alt.X("x:Q"), y=alt.Y("y:Q"), text=alt.Text("text:N"))
    label = peak_at.mark_text(**beside, fontWeight=600, color=inks["ink"]).encode(
        x=alt.X("x:Q"), y=alt.Y("y:Q"), text=alt.Text("text:N")
    )
    # A centimetre is as long along the patient as around.
    wide = 620
    high = min(760, max(180, round(wide * (span["y2"] - span["y"]) / (span["x2"] - span["x"]))))
    return alt.layer(skin, dose, lines, *names, halo, inner, under, label).properties(width=wide, height=high)


def peak_words(result: SkinDose) -> str:
    """The peak with its expanded uncertainty."""
    peak = result.peak
    if peak.value is None:
        return "not measurable"
    if peak.uncertainty is None:
        return f"{_plain(peak.value, 3)} mGy"
    return f"{_plain(peak.value, 3)} mGy ± {_plain(2 * peak.uncertainty, 2)} mGy (k = 2)"


def _plain(value: float, digits: int) -> str:
    """So many significant digits, never with an exponent below a million."""
    return f"{float(f'{value:.{digits}g}'):g}"


def peak_place(result: SkinDose) -> str:
    """Where the peak is, in words: which side of the trunk."""
    dose_map, place = result.dose_map, result.peak_place_mm
    if dose_map is None or place is None:
        return ""
    middle, away = ("front", "back") if result.orientation.prone else ("back", "front")
    girth = abs(float(dose_map.around_mm[1] - dose_map.around_mm[0])) * len(dose_map.around_mm)
    part = abs(place[0]) / girth if result.phantom is None or result.phantom.shape == "elliptic" else 0.0
    side = "left" if place[0] > 0 else "right"
    if abs(place[0]) < 10:
        return f"middle of the {middle}"
    if part < 1 / 6:
        return f"{middle}, {abs(place[0]) / 10:.0f} cm to the patient's {side}"
    return f"patient's {side} flank" if part < 1 / 3 else f"{away}, on the patient's {side}"


def _words(result: SkinDose) -> str:
    doubt = f" To be looked at: {result.peak.reason}." if result.peak.reason else ""
    return f"Skin dose map: the peak is {peak_words(result)}, {peak_place(result)}.{doubt}"
