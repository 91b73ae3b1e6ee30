"""A page as PDF, with the same bytes each time; without the system's Pango library it says how to install it."""

from __future__ import annotations

import base64
import re
from pathlib import Path

__all__ = ["PdfUnavailableError", "write_pdf"]

_HOW = (
    "PDF needs the Pango library: on Debian or Ubuntu, apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
)


class PdfUnavailableError(RuntimeError):
    """PDF cannot be made on this machine; the message says what to install."""


def write_pdf(page: str, path: Path, *, identifier: str) -> None:
    """Write a page as PDF.

    Parameters
    ----------
    page : str
        HTML that stands alone. Its date is that of its ``dcterms.created``.
    path : Path
    identifier : str
        What tells this document from others; the same for the same inputs.

    Raises
    ------
    PdfUnavailableError
        When the libraries that WeasyPrint needs are not there.
    """
    try:
        # The import itself loads Pango, and fails with OSError where the system has none.
        import weasyprint
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:
        raise PdfUnavailableError(_HOW) from error
    # A report names no address; whatever asks for one gets nothing, but for what the page carries itself.
    fetcher = URLFetcher(allowed_protocols=("data",))
    document = weasyprint.HTML(string=_drawings_apart(page), url_fetcher=fetcher)
    document.write_pdf(path, pdf_identifier=identifier.encode(), custom_metadata=False)


_DRAWING = re.compile(r"<svg .*?</svg>", re.DOTALL)
_NAMESPACES = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '


def _drawings_apart(page: str) -> str:
    """The page with its drawings as images that it carries, drawings still.

    As elements of the page each of their thousands of marks would be parsed and styled like a paragraph, which takes
    a fifth of the time.
    """

    def image(found: re.Match[str]) -> str:
        drawing = found[0].replace("<svg ", _NAMESPACES, 1).encode()
        return f'<img alt="" src="data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}">'

    return _DRAWING.sub(image, page)
