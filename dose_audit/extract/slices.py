"""Many slices, one event: image parts of one acquisition folded into one, in any order and in constant
memory.

What varies from slice to slice is kept as count, exact sum, least and greatest value, so that folding does
not depend on the order. Sums are whole numbers of 10⁻⁹: floating-point addition is not associative.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from dose_audit.extract.exam import CtEvent, CtSource, Exam, Warning, as_record, twin

__all__ = ["IMAGES", "finish", "fold_event", "fold_parts", "least", "measure", "measure_current", "slice_key"]

IMAGES = "images"
"""Name, in an event's ``extra``, of what was counted over its images."""

CURRENTS = "tube_current_ma"
"""Name, inside ``images``, of the tube current's counts by tube voltage."""

MAX_SLICE_WARNINGS = 20
"""Different warnings of one code that are kept when slices are folded."""

_SCALE = 10**9
_SLICED = frozenset({"CT", "PT", "NM"})


def _measured(value: float) -> dict[str, Any]:
    return {"count": 1, "sum_1e9": round(value * _SCALE), "min": value, "max": value}


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {
        "count": one["count"] + other["count"],
        "sum_1e9": one["sum_1e9"] + other["sum_1e9"],
        "min": min(one["min"], other["min"]),
        "max": max(one["max"], other["max"]),
    }


def mean_of(counted: dict[str, Any] | None) -> float | None:
    """Mean of a counted quantity; exactly the value where all are the same.

    Examples
    --------
    >>> mean_of(_joined(_measured(1.0), _measured(2.0)))
    1.5
    """
    if not counted:
        return None
    if counted["min"] == counted["max"]:
        return counted["min"]
    return round(counted["sum_1e9"] / counted["count"] / _SCALE, 9)


def measure(event: CtEvent, name: str, value: float | None) -> None:
    """Count one slice's value of a quantity that may differ in the next slice."""
    if value is not None:
        event.extra[IMAGES][name] = _measured(value)


def measure_current(event: CtEvent, source: CtSource) -> None:
    """Count one slice's tube current under its tube voltage."""
    if source.tube_current_ma is not None:
        event.extra[IMAGES][CURRENTS] = {_voltage(source): _measured(source.tube_current_ma)}


def _voltage(source: CtSource) -> str:
    return "" if source.kvp_kv is None else f"{source.kvp_kv:g}"


def finish(event: CtEvent) -> None:
    """Set the event's fields from what was counted: means, but a DLP only where every slice agrees."""
    images = event.extra[IMAGES]
    event.ctdi_vol_mgy = mean_of(images.get("ctdi_vol_mgy"))
    event.water_equivalent_diameter_mm = mean_of(images.get("water_equivalent_diameter_mm"))
    dlp = images.get("dlp_mgy_cm")
    event.dlp_mgy_cm = dlp["min"] if dlp and dlp["min"] == dlp["max"] else None
    for source in event.sources:
        source.tube_current_ma = mean_of(images.get(CURRENTS, {}).get(_voltage(source)))


def least(one: Any, other: Any) -> Any:
    """Of two values the known one, and of two known ones the lesser: the choice that no order can change."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: least(one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())}
    if isinstance(one, list) and not one:
        return other
    if isinstance(other, list) and not other:
        return one
    if hasattr(one, "__dataclass_fields__") and type(one) is type(other):
        return type(one)(
            **{part.name: least(getattr(one, part.name), getattr(other, part.name)) for part in fields(one)}
        )
    return min(one, other, key=_order)


def _order(value: Any) -> tuple[float, str]:
    if isinstance(value, int | float):
        return (float(value), "")
    return (0.0, json.dumps(as_record(value), sort_keys=True))


def fold_event(into: CtEvent, other: CtEvent) -> None:
    """Fold another slice's event, or folded event, into the first; `finish` completes it."""
    one, two = into.extra.get(IMAGES, {}), other.extra.get(IMAGES, {})
    images: dict[str, Any] = {"count": one.get("count", 0) + two.get("count", 0)}
    for name in sorted((one.keys() | two.keys()) - {"count"}):
        mine, theirs = one.get(name), two.get(name)
        if name == CURRENTS:
            images[name] = dict(sorted(_by_voltage(mine or {}, theirs or {}).items()))
        elif name == "last_at":
            images[name] = max(filter(None, (mine, theirs)))
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            images[name] = _joined(mine, theirs)
        else:
            images[name] = least(mine, theirs)
    by_voltage = {_voltage(source): twin(source) for source in into.sources}
    for source in other.sources:
        known = by_voltage.get(_voltage(source))
        by_voltage[_voltage(source)] = twin(source if known is None else least(known, source))
    kernels = sorted({*into.convolution_kernel, *other.convolution_kernel})
    into.extra.pop(IMAGES, None)
    rest = {name: value for name, value in other.extra.items() if name != IMAGES}
    for part in fields(into):
        if part.name not in ("sources", "convolution_kernel", "extra"):
            setattr(into, part.name, least(getattr(into, part.name), getattr(other, part.name)))
    into.extra = {**least(into.extra, rest), IMAGES: images}
    into.sources = sorted(by_voltage.values(), key=lambda source: source.kvp_kv or 0)
    into.convolution_kernel = kernels


def _by_voltage(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {
        voltage: _joined(one[voltage], other[voltage])
        if voltage in one and voltage in other
        else one.get(voltage) or other[voltage]
        for voltage in one.keys() | other.keys()
    }


def slice_key(part: Exam) -> tuple[Any, ...] | None:
    """Under which key an image part is folded with its neighbours; `None` for a part that stands alone."""
    if len(part.sources) != 1 or part.sources[0].kind != "image" or part.modality not in _SLICED:
        return None
    series = part.sources[0].series_instance_uid
    if series is None or (part.modality == "CT" and len(part.events) != 1):
        return None
    events = tuple(
        (event.irradiation_event_uid, event.extra.get(IMAGES, {}).get("acquisition_number")) for event in part.events
    )
    return (part.modality, series, events)


def fold_parts(into: Exam, other: Exam) -> Exam:
    """Fold two parts of one `slice_key` into one part.

    Parameters
    ----------
    into, other : Exam
        `into` may be changed and must not be used afterwards.

    Returns
    -------
    Exam
        The same, whichever of the two came first. Its only source is the one with the least SOP Instance UID;
        how many images there were is in the events' ``images``.
    """
    events = []
    for one, two in zip(into.events, other.events, strict=True):
        if isinstance(one, CtEvent) and isinstance(two, CtEvent):
            fold_event(one, two)
            finish(one)
            events.append(one)
        else:
            events.append(least(one, two))
    folded = Exam()
    for part in fields(Exam):
        if part.name not in ("events", "sources", "warnings", "patient"):
            setattr(folded, part.name, least(getattr(into, part.name), getattr(other, part.name)))
    folded.patient = least(into.patient, other.patient)
    folded.patient.is_phantom = into.patient.is_phantom or other.patient.is_phantom
    folded.sources = [min(*into.sources, *other.sources, key=lambda source: source.sop_instance_uid or "")]
    folded.warnings = _fewer(into.warnings + other.warnings)
    folded.events = events
    return folded


def _fewer(warnings: list[Warning]) -> list[Warning]:
    """Each different warning once, at most `MAX_SLICE_WARNINGS` of one code, whichever came first."""
    different = {(w.code, w.where or "", w.message, w.raw or ""): w for w in warnings}
    kept: list[Warning] = []
    counts: dict[str, int] = {}
    for name in sorted(different):
        counts[name[0]] = counts.get(name[0], 0) + 1
        if counts[name[0]] <= MAX_SLICE_WARNINGS:
            kept.append(different[name])
    return kept
