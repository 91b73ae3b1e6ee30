"""Draws a chart specification as SVG, for print, for reading without JavaScript, and for mail."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from dose_audit.kept_files import read_kept, write_kept
from dose_audit.texts import REPLACEMENT, clean_values, is_clean_json

__all__ = ["offline_bundle", "spec_text", "to_svg"]

_EDITION = 1
"""Of what is done to the script below; raise it with a change, so that none is used that was kept before."""


def to_svg(spec: dict[str, Any], name: str) -> str:
    """Static drawing of a Vega-Lite specification as an inline ``<svg>`` element without namespaces or addresses.

    ``name`` makes the identifiers inside the drawing its own within the page; the library counts them through a whole
    process, which would make the same drawing differ from one time to the next.
    """
    import vl_convert

    from dose_audit.report.lean_drawing import lean_drawing

    text, stand_ins = _with_stand_ins(spec_text(spec))
    drawing = vl_convert.vegalite_to_svg(text, allowed_base_urls=[]).translate(stand_ins)
    drawing = re.sub(r"<\?xml[^>]*\?>|<!DOCTYPE[^>]*>", "", drawing)
    drawing = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", drawing)
    inner: dict[str, str] = {}
    drawing = re.sub(
        r"\b(?:gradient_|clip)\d+\b", lambda found: inner.setdefault(found[0], f"{name}-{len(inner)}"), drawing
    )
    return lean_drawing(drawing).replace("<svg ", '<svg aria-hidden="true" ', 1)


def spec_text(spec: dict[str, Any]) -> str:
    """A specification as the drawing library is given it: JSON whose texts are clean.

    A control character in a label is no XML, and the library does not refuse it: it ends the process.
    """
    text = json.dumps(spec)
    return text if is_clean_json(text) else json.dumps(clean_values(spec))


_BEYOND = re.compile("[\U00010000-\U0010ffff]")


def _with_stand_ins(text: str) -> tuple[str, dict[int, str]]:
    """JSON without characters beyond the first 65,536, and what stands for each of them.

    The library cuts long labels between the two halves of such a character and then fails. Characters for private use,
    which mean nothing, stand for them while it draws.
    """
    if "\\ud" not in text:
        return text, {}
    text = json.dumps(json.loads(text), ensure_ascii=False)
    free = (chr(point) for point in range(0xE000, 0xF8FF) if chr(point) not in text)
    drawn: dict[str, str] = {}
    text = _BEYOND.sub(lambda found: drawn.get(found[0]) or drawn.setdefault(found[0], next(free, REPLACEMENT)), text)
    return text, {ord(one): character for character, one in drawn.items() if one != REPLACEMENT}


@cache
def offline_bundle(kept_in: Path | None = None) -> str:
    """JavaScript of Vega, Vega-Lite and vega-embed in one piece that names no address.

    Parameters
    ----------
    kept_in : Path, optional
        Folder in which it is kept for the next report: putting it together takes half of a small audit's time.

    Notes
    -----
    What is left of addresses are names (XML name-spaces, a schema's version) that are compared and never fetched; they
    are put together from two halves, so that a plain search of the report for an address finds none.
    """
    from importlib.metadata import version

    import vl_convert

    path = None if kept_in is None else kept_in / f"vega-{version('vl-convert-python')}-{_EDITION}.js"
    kept = None if path is None else read_kept(path)
    if kept is not None:
        return bytes(kept).decode()
    bundle: str = vl_convert.javascript_bundle()
    bundle = re.sub(r"(['\"])(https?:)(//[^\"'`\s]*)\1", r"(\1\2\1+\1\3\1)", bundle)
    bundle = re.sub(r"https?://[^\"'`\s)]*", "", bundle)
    bundle = bundle.replace("</script", "<\\/script")
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_kept(path, [bundle.encode()])
        except OSError:
            pass  # a home that may only be read; the report needs nothing of it
    return bundle
