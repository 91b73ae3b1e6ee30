"""One frozen run in, its page, PDF, workbook, tables and JSON out; from the version that made the run always the same
bytes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dose_audit.report.charts import all_figures
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.stamp import version_stamp
from dose_audit.report.suppression import SMALLEST_SHOWN

__all__ = ["DEFAULT_FORMATS", "FORMATS", "ReportFiles", "render_run", "share_run"]

FORMATS = ("html", "pdf", "xlsx", "json", "csv", "board")
DEFAULT_FORMATS = ("html", "xlsx", "json")


@dataclass(frozen=True)
class ReportFiles:
    """Where a rendered report lies; what was not asked for may be there from earlier or not at all.

    Attributes
    ----------
    html, xlsx, json : Path
    pdf, csv, board, board_pdf : Path
    not_made : str
        Why a PDF that was asked for was not made and what to do, else empty.
    stamp : str
        That another version of the program made the run, as the page says; else empty.
    """

    html: Path
    xlsx: Path
    json: Path
    pdf: Path
    csv: Path
    board: Path
    board_pdf: Path
    not_made: str = ""
    stamp: str = ""

    def made(self, formats: Collection[str]) -> list[Path]:
        """Files of the given formats that are there."""
        by_format = {
            "html": [self.html],
            "pdf": [self.pdf],
            "xlsx": [self.xlsx],
            "json": [self.json],
            "csv": [self.csv],
        }
        by_format["board"] = [self.board, self.board_pdf]
        return [path for name in FORMATS if name in formats for path in by_format[name] if path.exists()]


def render_run(
    run_dir: Path,
    out: Path | None = None,
    *,
    formats: Collection[str] = DEFAULT_FORMATS,
    smallest: int = SMALLEST_SHOWN,
    kept_in: Path | None = None,
) -> ReportFiles:
    """Render a frozen run.

    Parameters
    ----------
    run_dir : Path
        Folder of the run: ``report.json`` and ``values.parquet``.
    out : Path, optional
        Where the files go; the run's own folder by default.
    formats : collection of str
        Of `FORMATS`; ``board`` is the page for patients and boards, with its PDF.
    smallest : int
        Smallest number of exams that the board's page names.
    kept_in : Path, optional
        Folder for what is the same in every report and takes long to make.

    Returns
    -------
    ReportFiles

    Raises
    ------
    FrozenRunError
        When the folder is not a frozen run.
    ValueError
        When a format is not known.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise ValueError(f"no format {', '.join(unknown)}; there are {', '.join(FORMATS)}")
    run = FrozenRun.load(Path(run_dir))
    stamp = version_stamp(run)
    out = Path(out or run_dir)
    out.mkdir(parents=True, exist_ok=True)
    names = ("report.html", "report.xlsx", "report.json", "report.pdf", "report.csv.zip", "board.html", "board.pdf")
    places = [out / name for name in names]
    html, xlsx, json, pdf, csv, board, board_pdf = places
    told = ""
    if {"html", "pdf"} & set(formats):
        told = _pages(run, html if "html" in formats else None, pdf if "pdf" in formats else None, kept_in)
    if {"xlsx", "csv"} & set(formats):
        _tables(run, xlsx if "xlsx" in formats else None, csv if "csv" in formats else None)
    if "json" in formats and json.resolve() != (run.folder / "report.json").resolve():
        shutil.copyfile(run.folder / "report.json", json)
    if "board" in formats:
        from dose_audit.report.board import board_page

        page = board_page(run, smallest=smallest)
        board.write_text(page, encoding="utf-8", newline="\n")
        told = _pdf(run, page, board_pdf, "board") or told
    return ReportFiles(html, xlsx, json, pdf, csv, board, board_pdf, not_made=told, stamp=stamp)


def share_run(
    run_dir: Path,
    out: Path | None = None,
    *,
    formats: Collection[str] = DEFAULT_FORMATS,
    smallest: int = SMALLEST_SHOWN,
    name_sites: bool = False,
) -> tuple[Path, str]:
    """Write what sites may show each other: groups of sites without devices or exams, small numbers hidden.

    Parameters
    ----------
    run_dir, out : Path
        As in `render_run`; the files go into the folder ``share``, the key of the sites' letters beside it.
    formats : collection of str
        Of `FORMATS` without ``board``.
    smallest : int
        Counts from 1 to one below this are hidden, and enough others that no total gives them back.
    name_sites : bool
        With the sites' names instead of letters.

    Returns
    -------
    Path, str
        The folder; and why a PDF was not made, else empty.
    """
    from dose_audit.report.csv_files import write_csv_archive
    from dose_audit.report.share import about_table, shared_json, shared_page, shared_tables, site_letters
    from dose_audit.report.workbook import write_workbook

    run = FrozenRun.load(Path(run_dir))
    folder = Path(out or run_dir) / "share"
    folder.mkdir(parents=True, exist_ok=True)
    letters = {site: site for site in run.data["run"]["sites"]} if name_sites else site_letters(run)
    tables = shared_tables(run, letters, smallest=smallest)
    told = ""
    if {"html", "pdf"} & set(formats):
        page = shared_page(run, tables, smallest=smallest)
        if "html" in formats:
            (folder / "shared.html").write_text(page, encoding="utf-8", newline="\n")
        if "pdf" in formats:
            told = _pdf(run, page, folder / "shared.pdf", "share")
    whole = [about_table(run, smallest=smallest), *tables]
    if "xlsx" in formats:
        created = run.data["run"]["created_at"]
        write_workbook(whole, folder / "shared.xlsx", subject="Shared between sites", created_at=created)
    if "csv" in formats:
        write_csv_archive(whole, folder / "shared.csv.zip")
    if "json" in formats:
        (folder / "shared.json").write_text(shared_json(run, tables, smallest=smallest), encoding="utf-8", newline="\n")
    if not name_sites:
        lines = [f"{letter},{_quoted(site)}" for site, letter in sorted(letters.items(), key=lambda item: item[1])]
        (folder.parent / "share_key.csv").write_text(
            "\n".join(["letter,site", *lines, ""]), encoding="utf-8", newline="\n"
        )
    return folder, told


def _quoted(text: str) -> str:
    from dose_audit.texts import no_formula

    return '"' + no_formula(text).replace('"', '""') + '"'


def _pages(run: FrozenRun, html: Path | None, pdf: Path | None, kept_in: Path | None) -> str:
    """Page and PDF from one set of drawings; what keeps the PDF from being made, else nothing."""
    from dose_audit.report.page import draw, report_page

    figures = all_figures(run)
    page = partial(report_page, run, figures, draw(figures))
    if html is not None:
        html.write_text(page(kept_in=kept_in), encoding="utf-8", newline="\n")
    return _pdf(run, page(interactive=False), pdf, "report") if pdf is not None else ""


def _pdf(run: FrozenRun, page: str, path: Path, what: str) -> str:
    from dose_audit.report.pdf import PdfUnavailableError, write_pdf

    try:
        write_pdf(page, path, identifier=_identifier(run, what))
    except PdfUnavailableError as error:
        return str(error)
    return ""


def _identifier(run: FrozenRun, what: str) -> str:
    """What the PDF is known by: the same for the same inputs, and nothing of the run can be read off it."""
    return hashlib.sha256(
        f"{what} {run.data['run']['id']} {run.data['run']['frozen_input_sha256']}".encode()
    ).hexdigest()[:32]


def _tables(run: FrozenRun, xlsx: Path | None, csv: Path | None) -> None:
    from dose_audit.report.csv_files import write_csv_archive
    from dose_audit.report.tables import all_tables
    from dose_audit.report.workbook import write_workbook

    tables = all_tables(run)
    if xlsx is not None:
        about = run.data["run"]
        write_workbook(tables, xlsx, subject=about["id"], created_at=about["created_at"])
    if csv is not None:
        write_csv_archive(tables, csv)
