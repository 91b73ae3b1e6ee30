"""The skin dose map by itself: a page that needs no network, and a picture for print or a report."""

from __future__ import annotations

import json

from dose_audit.dosimetry.skin.result import SkinDose
from dose_audit.report.charts.skin_map import PAPER, peak_place, peak_words, skin_map_figure
from dose_audit.report.static import offline_bundle, spec_text, to_svg
from dose_audit.texts import clean

__all__ = ["skin_map_page", "skin_map_png", "skin_map_svg"]


def skin_map_svg(result: SkinDose) -> str:
    """The map as a drawing that stands alone.

    Parameters
    ----------
    result : SkinDose
        With a map that has a peak.

    Returns
    -------
    str
        SVG.
    """
    drawing = to_svg(skin_map_figure(result).spec, "skin-map")
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def skin_map_png(result: SkinDose, *, dark: bool = False, scale: float = 2.0) -> bytes:
    """The map as a PNG on an opaque ground.

    Parameters
    ----------
    result : SkinDose
        With a map that has a peak.
    dark : bool
        On a dark ground.
    scale : float
        Pixels for one point.

    Returns
    -------
    bytes
    """
    import vl_convert

    spec = {**skin_map_figure(result, dark=dark).spec, "padding": 12}
    spec["config"] = {**spec["config"], "background": PAPER[dark]}
    drawn: bytes = vl_convert.vegalite_to_png(spec_text(spec), scale=scale, allowed_base_urls=[])
    return drawn


def skin_map_page(result: SkinDose, title: str) -> str:
    """One page that needs no network: the map to point at, light or dark as the reader's system is, drawn for print.

    Parameters
    ----------
    result : SkinDose
        With a map that has a peak.
    title : str
        What exam it is; shown as text.

    Returns
    -------
    str
        HTML.
    """
    from jinja2 import Environment, PackageLoader

    light, dark = skin_map_figure(result), skin_map_figure(result, dark=True)
    specs = json.dumps({"light": light.spec, "dark": dark.spec}, allow_nan=False).replace("<", "\\u003c")
    template = Environment(loader=PackageLoader("dose_audit.report"), autoescape=True).get_template("skin_map.html.j2")
    return template.render(
        title=clean(title),
        alt=light.alt,
        facts=_facts(result),
        svg=to_svg(light.spec, "skin-map"),
        bundle=offline_bundle(),
        specs=specs,
    )


def _facts(result: SkinDose) -> list[tuple[str, str]]:
    """What must stand beside the picture."""
    facts = [("Peak skin dose", peak_words(result)), ("Where", peak_place(result))]
    if result.phantom is not None:
        facts.append(("Patient", f"{result.orientation.words}; {result.phantom.origin}"))
    if result.on_patient is not None:
        facts.append(("On the phantom", f"{100 * result.on_patient:.0f} % of the KAP"))
    if result.peak.reason:
        facts.append(("To be looked at", result.peak.reason))
    facts.append(("Method", result.peak.method))
    if result.convention is not None and result.convention.source:
        facts.append(("Geometry", f"{result.convention.confidence}: {result.convention.source}"))
    left_out = [f"event {share.index}: {share.reason}" for share in result.events if not share.included]
    if left_out:
        facts.append(("Left out", "; ".join(left_out)))
    return facts
