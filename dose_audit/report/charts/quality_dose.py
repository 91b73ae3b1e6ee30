"""Dose and image quality on one chart, and image quality for its dose by device, site and network."""

from __future__ import annotations

from typing import Any

from dose_audit.report.charts.figure import Figure, finished, inline
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.theme import QUIET, RULE, TONES
from dose_audit.report.words import number, plural, unit_label

__all__ = ["DOSE_NAMES", "dose_and_quality_figures"]

MOST_FIGURES = 8
_FEWEST = 4

DOSE_NAMES = {
    "ctdi_vol_mgy": ("CTDIvol", "mGy"),
    "ctdi_vol_16_mgy": ("CTDIvol (16 cm)", "mGy"),
    "ctdi_vol_32_mgy": ("CTDIvol (32 cm)", "mGy"),
    "agd_mgy": ("Average glandular dose", "mGy"),
    "entrance_dose_mgy": ("Entrance dose", "mGy"),
    "kap_gy_cm2": ("KAP", "Gy·cm²"),
    "exposure_index": ("Exposure index", ""),
}
_QUALITY = {"noise_at_dose": "Noise", "contrast_to_noise": "Contrast", "ratio": "Contrast-to-noise or SNR"}
# Shape, dash and colour each tell the lines apart.
_LINES = (("dose", TONES["act"], [1, 0]), ("quality", TONES["ok"], [1, 0]), ("merit", QUIET, [4, 3]))


def dose_and_quality_figures(run: FrozenRun) -> list[Figure]:
    """Dose beside image quality: over time, all devices in one plane, and the balance by device, site and network."""
    panel = run.data.get("image_quality")
    return [*dose_figures(panel), *balance_figures(panel), *merit_figures(panel)] if panel else []


def dose_figures(panel: dict[str, Any]) -> list[Figure]:
    """Dose and image quality of one device over time, in percent of its first runs, on one axis."""
    parts = [part for part in panel["dose_and_quality"] if len(part["points"]) >= _FEWEST]
    return [_over_time(part, index) for index, part in enumerate(parts[:MOST_FIGURES], start=1)]


def _over_time(part: dict[str, Any], index: int) -> Figure:
    import altair as alt

    dose_name, dose_unit = DOSE_NAMES.get(part["dose"], (part["dose"], ""))
    third = max(1, len(part["points"]) // 3)
    firsts = {"dose": part["first_dose"], "quality": part["first_quality"]}
    firsts["merit"] = _geometric([point["merit"] for point in part["points"][:third]])
    names = {"dose": dose_name, "quality": _QUALITY[part["kind"]], "merit": part["figure_title"]}
    data = [
        {
            "at": point["at"],
            "line": names[key],
            "percent": 100.0 * point[key] / firsts[key],
            "value": point[key],
        }
        for point in part["points"]
        for key, _, _ in _LINES
    ]
    order = [names[key] for key, _, _ in _LINES]
    # Never so narrow that the spread of single runs looks like a change.
    percents = [float(one["percent"]) for one in data]
    domain = [min(85.0, min(percents) - 2.0), max(115.0, max(percents) + 2.0)]
    base = alt.Chart(inline(data)).encode(
        x=alt.X("at:T", axis=alt.Axis(format="%-d %b %Y", labelOverlap=True, title=None, grid=False, tickCount=6)),
        y=alt.Y("percent:Q", title="percent of the first runs", scale=alt.Scale(domain=domain, nice=True, zero=False)),
        color=alt.Color(
            "line:N",
            title=None,
            scale=alt.Scale(domain=order, range=[colour for _, colour, _ in _LINES]),
            legend=alt.Legend(columns=2),
        ),
    )
    lines = base.mark_line(size=2).encode(
        strokeDash=alt.StrokeDash(
            "line:N", title=None, scale=alt.Scale(domain=order, range=[dash for *_, dash in _LINES])
        )
    )
    dots = base.mark_point(filled=True, size=45).encode(
        shape=alt.Shape(
            "line:N", title=None, scale=alt.Scale(domain=order, range=["triangle-down", "circle", "diamond"])
        ),
        tooltip=[
            alt.Tooltip("at:T", title="When", format="%-d %b %Y"),
            alt.Tooltip("line:N", title="Quantity"),
            alt.Tooltip("value:Q", title="Value", format=".4~r"),
            alt.Tooltip("percent:Q", title="% of first runs", format=".0f"),
        ],
    )
    hundred = (
        alt.Chart(inline([{"percent": 100}]))
        .mark_rule(color=QUIET, opacity=0.6)
        .encode(y=alt.Y("percent:Q", scale=alt.Scale(domain=domain, nice=True, zero=False)))
    )
    title = f"{part['equipment']} · {part['phantom']} · dose and image quality"
    trade = part["trade"]
    said = trade["text"] if trade else f"{plural(len(part['points']), 'run')}: too few to compare first and last runs."
    return Figure(
        f"quality-dose-{index}",
        title,
        said,
        finished(alt.layer(hundred, lines, dots).properties(width=370, height=200)),
        [
            "When",
            f"{dose_name} {f'({dose_unit})' if dose_unit else ''}".strip(),
            _QUALITY[part["kind"]],
            part["figure_title"],
        ],
        [
            [p["at"].replace("T", " "), number(p["dose"]), number(p["quality"]), number(p["merit"])]
            for p in part["points"]
        ],
    )


def balance_figures(panel: dict[str, Any]) -> list[Figure]:
    """All devices of one phantom in the plane of dose and image quality, with the line of equal balance."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for part in panel["dose_and_quality"]:
        if part["kind"] == "noise_at_dose":
            groups.setdefault((part["figure"], part["definition"], part["measurement"]), []).append(part)
    wanted = [parts for _, parts in sorted(groups.items()) if len({part["equipment_id"] for part in parts}) > 1]
    return [_plane(parts, index) for index, parts in enumerate(wanted[:MOST_FIGURES], start=1)]


def _plane(parts: list[dict[str, Any]], index: int) -> Figure:
    import altair as alt

    dose_name, dose_unit = DOSE_NAMES.get(parts[0]["dose"], (parts[0]["dose"], ""))
    points = [
        {
            "device": f"{part['equipment']}, {part['site']}",
            "dose": point["dose"],
            "quality": point["quality"],
            "at": point["at"],
            "last": point is part["points"][-1],
        }
        for part in parts
        for point in part["points"]
    ]
    devices = sorted({point["device"] for point in points})
    x_scale, x_ticks = _snug_log([point["dose"] for point in points])
    y_scale, y_ticks = _snug_log([point["quality"] for point in points])
    merit = _geometric([point["merit"] for part in parts for point in part["points"]])
    reference = _reference(parts[0])
    low, high = min(p["dose"] for p in points), max(p["dose"] for p in points)
    line = [{"dose": dose, "quality": merit * (reference / dose) ** 0.5} for dose in (low, (low * high) ** 0.5, high)]
    data = inline(points)
    x = alt.X("dose:Q", title=f"{dose_name} ({dose_unit})", scale=x_scale, axis=alt.Axis(values=x_ticks, format="~r"))
    y = alt.Y("quality:Q", title="Noise (HU)", scale=y_scale, axis=alt.Axis(values=y_ticks, format="~r"))
    equal = alt.Chart(inline(line)).mark_line(color=RULE, strokeDash=[5, 3], size=1.5, clip=True).encode(x=x, y=y)
    shapes = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right"]
    # One scale for both layers, so that colour and shape share a legend.
    colour = alt.Color("device:N", title=None, scale=alt.Scale(domain=devices))
    path = alt.Chart(data).mark_line(size=1, opacity=0.5).encode(x=x, y=y, order=alt.Order("at:T"), color=colour)
    dots = (
        alt.Chart(data)
        .mark_point(filled=True, opacity=0.85)
        .encode(
            x=x,
            y=y,
            size=alt.condition("datum.last", alt.value(130), alt.value(40)),
            color=colour,
            shape=alt.Shape(
                "device:N",
                title=None,
                scale=alt.Scale(domain=devices, range=[shapes[i % 8] for i in range(len(devices))]),
            ),
            tooltip=[
                alt.Tooltip("device:N", title="Device"),
                alt.Tooltip("at:T", title="When", format="%-d %b %Y"),
                alt.Tooltip("dose:Q", title=f"{dose_name} ({dose_unit})", format=".3~r"),
                alt.Tooltip("quality:Q", title="Noise (HU)", format=".3~r"),
            ],
        )
    )
    title = f"{parts[0]['phantom']}: noise against {dose_name}"
    return Figure(
        f"quality-balance-{index}",
        title,
        f"{title} of {plural(len(devices), 'device')}, each run a point, the latest one large. Along the dashed line dose is "
        "traded for noise at equal balance; below it images are better for their dose, above it worse.",
        finished(alt.layer(equal, path, dots).properties(width=370, height=240)),
        ["Device", "When", f"{dose_name} ({dose_unit})", "Noise (HU)"],
        [[p["device"], p["at"][:10], number(p["dose"]), number(p["quality"])] for p in points],
    )


def _reference(part: dict[str, Any]) -> float:
    """The reference dose of a figure of noise, from a point: merit = quality · √(dose / reference)."""
    point = part["points"][0]
    return float(point["dose"] * (point["quality"] / point["merit"]) ** 2)


def merit_figures(panel: dict[str, Any]) -> list[Figure]:
    """Image quality for its dose: devices, sites and network with their intervals, one figure a phantom and metric."""
    wanted = [part for part in panel["merit"] if len(part["devices"]) > 1]
    return [_merit(part, index) for index, part in enumerate(wanted[:MOST_FIGURES], start=1)]


def _merit(part: dict[str, Any], index: int) -> Figure:
    import altair as alt

    unit = unit_label(part["unit"]) if part["unit"] != "1" else ""
    rows = [("network", f"Network ({plural(part['network']['devices'], 'device')})", part["network"])]
    rows += [("site", f"{site['site']} ({plural(site['devices'], 'device')})", site["mean"]) for site in part["sites"]]
    rows += [("device", f"{one['equipment']}, {one['site']}", one["mean"]) for one in part["devices"]]
    data = [
        {
            "kind": kind,
            "label": label,
            "value": mean["value"],
            "low": mean["low"] if mean["low"] is not None else mean["value"],
            "high": mean["high"] if mean["high"] is not None else mean["value"],
            "n": mean["n"],
        }
        for kind, label, mean in rows
    ]
    scale, ticks = _snug_log([value for one in data for value in (one["low"], one["value"], one["high"])])
    title = f"{part['phantom']}: {part['figure_title']}"
    axis = alt.Axis(title=f"{part['figure_title']}{f' ({unit})' if unit else ''}", values=ticks, format="~r")
    base = alt.Chart(inline(data)).encode(
        y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(grid=True, gridDash=[1, 3], domain=False, ticks=False))
    )
    kinds = {"network": (RULE, "diamond"), "site": (TONES["check"], "square"), "device": (TONES["ok"], "circle")}
    domain, colours = list(kinds), [colour for colour, _ in kinds.values()]
    colour = alt.Color("kind:N", title=None, scale=alt.Scale(domain=domain, range=colours))
    bars = base.mark_rule(size=2, opacity=0.75).encode(
        x=alt.X("low:Q", scale=scale, axis=axis), x2=alt.X2("high:Q"), color=colour
    )
    dots = base.mark_point(size=75, filled=True, opacity=1).encode(
        x=alt.X("value:Q", scale=scale),
        color=colour,
        shape=alt.Shape(
            "kind:N", title=None, scale=alt.Scale(domain=domain, range=[shape for _, shape in kinds.values()])
        ),
        tooltip=[
            alt.Tooltip("label:N", title="Where"),
            alt.Tooltip("value:Q", title=part["figure_title"], format=".3~r"),
            alt.Tooltip("n:Q", title="Runs or devices"),
        ],
    )
    wants = "lower is better" if part["better"] == "lower" else "higher is better"
    told = "; ".join(f"{one['label']} {number(one['value'])}" for one in data[:8])
    return Figure(
        f"quality-merit-{index}",
        title,
        f"{title} ({wants}), geometric means with 95 % intervals: {told} {unit}. An interval needs three runs, or three devices.",
        finished(alt.layer(bars, dots).properties(width=300, height=alt.Step(22))),
        ["Where", "Runs or devices", "Mean", "95 % interval"],
        [
            [
                one["label"],
                str(one["n"]),
                number(one["value"]),
                f"{number(one['low'])} to {number(one['high'])}" if one["low"] != one["high"] else "–",
            ]
            for one in data
        ],
    )


def _geometric(values: list[float]) -> float:
    from math import exp, fsum, log

    return exp(fsum(log(value) for value in values) / len(values))


def _snug_log(values: list[float]) -> tuple[Any, list[float]]:
    """A logarithmic scale about the values, with round labels also where it spans little."""
    from math import ceil, floor, log10

    import altair as alt

    low, high = min(values) * 0.95, max(values) * 1.05
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    raw = (high - low) / 5
    size = 10.0 ** floor(log10(raw))
    step = next(size * share for share in (1, 2, 2.5, 5, 10) if size * share >= raw)
    return scale, [round(step * k, 10) for k in range(ceil(low / step), floor(high / step) + 1)]
