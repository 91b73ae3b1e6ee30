"""A page as PDF, with the same bytes each time; without the system's Pango library it says how to install it."""

from __future__ import annotations

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
    except (ImportError, OSError) as error:
        raise PdfUnavailableError(_HOW) from error
    document = weasyprint.HTML(string=page, url_fetcher=_nothing_outside)
    document.write_pdf(path, pdf_identifier=identifier.encode(), custom_metadata=False)


def _nothing_outside(url: str, *_: Any, **__: Any) -> Any:
    """A report names no address; whatever asks for one gets nothing."""
    raise ValueError(f"the report does not fetch {url[:60]}")
