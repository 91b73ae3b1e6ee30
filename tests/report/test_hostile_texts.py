"""Names that would end the drawing library, run in a spreadsheet or fill a screen: the report is drawn and can be read."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pypdf
import pytest

from dose_audit.report import render_run, share_run
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.static import to_svg
from dose_audit.texts import clean
from tests.report.conftest import write_run

if TYPE_CHECKING:
    from tests.conftest import MadeOnce

NAMES = {
    "North": "N\x1b[31m\x0b\x9b\ufffe\u202eorth",
    "CT <b>1</b>": "CT\x08\x1b]0;x\x07</script><b>1</b>",
    "CT 2": "👩🏽\u200d⚕️ صدر 胸部 " * 12,
    "=South": "=S\nouth",
    "Head": "H" * 10_000,
}


def _renamed(value: Any) -> Any:
    if isinstance(value, str):
        return NAMES.get(value, value)
    if isinstance(value, dict):
        return {key: _renamed(item) for key, item in value.items()}
    return [_renamed(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory, made_once: MadeOnce) -> Path:
    """A run as a version without clean texts would have frozen it, drawn in every format."""
    drawn: Path = made_once("hostile-run", lambda: _drawn_hostile(tmp_path_factory))
    return drawn


def _drawn_hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("hostile") / "run")
    path = folder / "report.json"
    path.write_text(json.dumps(_renamed(json.loads(path.read_text("utf-8")))), encoding="utf-8")
    values = pq.read_table(folder / "values.parquet").to_pylist()
    pq.write_table(pa.Table.from_pylist(_renamed(values)), folder / "values.parquet")
    render_run(folder, formats=("html", "pdf", "xlsx", "csv"))
    share_run(folder, formats=("html", "xlsx", "csv", "json"), name_sites=True)
    return folder


def test_groups_and_comparisons_still_meet(hostile_run: Path) -> None:
    run = FrozenRun.load(hostile_run)
    rows = {
        (row["site"], row["equipment"], row["examination"], row["band"], row["quantity"])
        for row in run.data["comparisons"]
    }
    assert set(run.groups) == rows
    assert {run.groups.count(key) for key in rows} == {41}
    assert {site for site, *_ in rows} == {clean(NAMES["North"]), clean(NAMES["=South"])}


def test_texts_that_no_line_holds_are_cut_and_stay_apart(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    path = folder / "report.json"
    text = path.read_text("utf-8").replace("North", "x" * 5000 + "1").replace("=South", "x" * 5000 + "2")
    path.write_text(text, encoding="utf-8")
    sites = FrozenRun.load(folder).data["run"]["sites"]
    assert len(set(sites)) == 2
    assert all(len(site) < 120 for site in sites)


def test_page_holds_nothing_hostile_and_shows_the_names(hostile_run: Path) -> None:
    page = (hostile_run / "report.html").read_text("utf-8")
    for name in ("report.html", "share/shared.html"):
        shown = re.sub(r"<script>.*?</script>", "", (hostile_run / name).read_text("utf-8"), flags=re.DOTALL)
        assert clean(shown) == shown
    assert "</script><b>" not in page
    assert "H" * 300 not in page
    drawings = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    labels = {text.text for drawing in drawings for text in ElementTree.fromstring(drawing).iter("text")}
    assert any(label and label.startswith("👩🏽\u200d⚕️ صدر") and label.endswith("…") for label in labels)
    assert not any("\ue000" <= character <= "\uf8ff" for label in labels for character in label or "")


def test_workbook_tables_and_pdf_open(hostile_run: Path) -> None:
    book = openpyxl.load_workbook(hostile_run / "report.xlsx")
    cells = {
        cell for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row if isinstance(cell, str)
    }
    assert clean(NAMES["CT <b>1</b>"]) in cells
    assert all(clean(cell) == cell for cell in cells)
    with zipfile.ZipFile(hostile_run / "share" / "shared.csv.zip") as archive:
        for name in archive.namelist():
            for row in csv.reader(io.StringIO(archive.read(name).decode("utf-8"), newline="")):
                assert not any(cell.startswith(("=", "@", "+", "\t")) for cell in row)
    pages = pypdf.PdfReader(hostile_run / "report.pdf").pages
    # With a font of another script in it, its reader gives each character as two bytes.
    assert "Verdict" in " ".join(page.extract_text() for page in pages).replace("\0", "")


@pytest.mark.parametrize(
    "label", ["CT\x0b\x1b[31m\x00", "\ud800\udfff\ufffe", "🫁" * 200, "A\t\r\n\u2028B", "\ue000🫁" * 99]
)
def test_a_label_is_drawn_whatever_it_holds(label: str) -> None:
    spec = {
        "data": {"values": [{"who": label, "value": 1}]},
        "mark": "bar",
        "encoding": {
            "y": {"field": "who", "axis": {"labelLimit": 100}},
            "x": {"field": "value", "type": "quantitative"},
        },
    }
    texts = [text.text or "" for text in ElementTree.fromstring(to_svg(spec, "one")).iter("text")]
    assert any(text[:1] == clean(label)[:1] for text in texts)
    assert all(clean(text) == text for text in texts)
