"""A page as PDF, with the same bytes each time; without the system's Pango library it says how to install it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

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
        from weasyprint.urls import URLFetcher, URLFetcherResponse
    except (ImportError, OSError) as error:
        raise PdfUnavailableError(_HOW) from error
    drawings: dict[str, bytes] = {}
    text = _drawings_apart(page, drawings)

    class _Carried(URLFetcher):  # type: ignore[misc]
        """Gives the page's own drawings; a report names no address, and whatever asks for one gets nothing."""

        def fetch(self, url: str, headers: Any = None) -> URLFetcherResponse:
            if url in drawings:
                return URLFetcherResponse(url, drawings[url], {"Content-Type": "image/svg+xml"})
            return super().fetch(url, headers)

    document = weasyprint.HTML(string=text, url_fetcher=_Carried(allowed_protocols=("data",)))
    document.write_pdf(path, pdf_identifier=identifier.encode(), custom_metadata=False)


_DRAWING = re.compile(r"<svg .*?</svg>", re.DOTALL)
_NAMESPACES = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '


def _drawings_apart(page: str, drawings: dict[str, bytes]) -> str:
    """The page with its drawings as images, and the images by the address that the page then has of them.

    As elements of the page each of their thousands of marks would be parsed and styled like a paragraph.
    """

    def image(found: re.Match[str]) -> str:
        address = f"drawing:{len(drawings) + 1}"
        drawings[address] = found[0].replace("<svg ", _NAMESPACES, 1).encode()
        return f'<img alt="" src="{address}">'

    return _DRAWING.sub(image, page)
