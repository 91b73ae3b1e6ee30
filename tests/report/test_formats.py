"""All outputs of a whole run: the same bytes again, the same numbers in each, nothing from outside, nobody named."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pypdf
import pytest

from dose_audit.report import FORMATS, ReportFiles, render_run, share_run
from dose_audit.report.board import board_page
from dose_audit.report.frozen import FrozenRun
from dose_audit.report.page import SECTIONS
from dose_audit.report.tables import all_tables


def _words(html: str) -> str:
    """Text of a page without scripts, styles and marks."""
    bare = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", bare).split())


def _numbers(record: Any, name: str = "") -> list[int]:
    """Every whole number of a record that counts exams or acquisitions."""
    if isinstance(record, dict):
        return [n for key, value in record.items() for n in _numbers(value, key)]
    if isinstance(record, list):
        return [n for value in record for n in _numbers(value, name)]
    counts = ("n", "n_used", "acquisitions", "alert_configured", "alert_exceeded", "alert_exceeded_without_reason")
    return [record] if isinstance(record, int) and name in counts else []


def test_rendered_again_every_file_has_the_same_bytes(rendered: ReportFiles, tmp_path: Path) -> None:
    assert rendered.not_made == ""
    first = rendered.html.parent
    render_run(first, tmp_path, formats=FORMATS)
    share_run(first, tmp_path, formats=("html", "pdf", "xlsx", "json", "csv"))
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) == 13
    assert {path.suffix for path in names} == {".html", ".pdf", ".xlsx", ".json", ".zip", ".csv"}
    for name in names:
        assert (first / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_pdf_holds_every_section_and_the_runs_date(rendered: ReportFiles) -> None:
    document = pypdf.PdfReader(rendered.pdf)
    text = " ".join(" ".join(page.extract_text() for page in document.pages).split())
    markup = re.sub(r"<script.*?</script>", "", rendered.html.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"<h2>(.*?)</h2>", markup)
    ids = re.findall(r'<\w+ id="([^"]+)"', re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL))
    assert len(ids) == len(set(ids))
    assert len(titles) == len(SECTIONS) - 1  # no image quality in this run
    for title in titles:
        assert title in text
    assert document.metadata is not None
    assert document.metadata["/CreationDate"].startswith("D:20260701020000")
    assert "All 2 comparisons" not in text and "1.30" in text


def test_no_heading_stands_alone_at_the_foot_of_a_page_and_each_page_names_its_run(rendered: ReportFiles) -> None:
    markup = re.sub(r"<script.*?</script>", "", rendered.html.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = {html.unescape(_words(text)) for text in re.findall(r"<(?:h2|h3|caption)[^>]*>(.*?)</", markup)}
    run = FrozenRun.load(rendered.html.parent).data["run"]["id"]
    pages = pypdf.PdfReader(rendered.pdf).pages
    for number, page in enumerate(pages, start=1):
        heights: dict[float, str] = {}

        def place(text: str, cm: Any, tm: Any, *_: Any, heights: dict[float, str] = heights) -> None:
            if text.strip():
                height = round(tm[4] * cm[1] + tm[5] * cm[3] + cm[5], 1)
                heights[height] = heights.get(height, "") + text

        page.extract_text(visitor_text=place)
        lines = [" ".join(text.split()) for _, text in sorted(heights.items())]
        # Words inside drawings have no height of their own here; a figure is never parted, and its words stand below it.
        foot = next(
            place for place, line in enumerate(lines) if run in line and line.endswith(f"{number} / {len(pages)}")
        )
        assert lines[foot + 1] not in headings, (number, lines[foot + 1])


@pytest.mark.parametrize("part", [
    "cross_site", "monitors", "size_curves", "kap_by_procedure", "exposure_index", "agd_by_thickness", "dose_check",
    "size_specific", "local_levels",
])  # fmt: skip
def test_counts_on_the_page_are_those_of_the_run(rendered: ReportFiles, part: str) -> None:
    data = json.loads(rendered.json.read_text(encoding="utf-8"))
    for entry in data[part]:
        # The curve is told with the exams that have a size; the components' groups stand in the workbook.
        if part == "size_curves":
            entry["n"] -= entry["n_missing"]
        if part == "cross_site":
            entry.pop("n")
            entry["components"].pop("levels")
    page = _words(rendered.html.read_text(encoding="utf-8"))
    shown = {int(number) for number in re.findall(r"(?<![\w.])\d+(?![\w.]*\d)", page)}
    counts = _numbers(data[part])
    assert counts
    assert set(counts) <= shown


def test_completeness_and_comparisons_are_those_of_the_run(rendered: ReportFiles) -> None:
    page = _words(rendered.html.read_text(encoding="utf-8"))
    assert "83 objects received" in page
    assert "82 exams in the period" in page
    assert "82 grouped for comparison" in page
    assert re.search(r"Head North CT &lt;b&gt;1&lt;/b&gt; DLP \(mGy·cm\) 41 130 117 to 143", page)


def test_csv_gives_every_table_back(rendered: ReportFiles) -> None:
    tables = all_tables(FrozenRun.load(rendered.html.parent))
    with zipfile.ZipFile(rendered.csv) as archive:
        assert sorted(archive.namelist()) == sorted(table.file_name for table in tables)
        for table in tables:
            head, *rows = csv.reader(io.StringIO(archive.read(table.file_name).decode("utf-8"), newline=""))
            assert head == table.columns
            assert len(rows) == len(table.rows)
            for read, written in zip(rows, table.rows, strict=True):
                for text, value in zip(read, written, strict=True):
                    if value is None:
                        assert text == ""
                    elif isinstance(value, int | float) and not isinstance(value, bool):
                        assert float(text) == value
                    elif isinstance(value, str):
                        assert text.removeprefix("'") == value
                    assert not text.startswith(("=", "@"))


def test_workbook_and_json_agree_on_each_part(rendered: ReportFiles) -> None:
    data = json.loads(rendered.json.read_text(encoding="utf-8"))
    book = openpyxl.load_workbook(rendered.xlsx)
    funnel = list(book["Funnel"].iter_rows(values_only=True))
    place = {name: funnel[0].index(name) for name in ("Site", "n", "Median", "Beyond limit")}
    found = [tuple(row[place[name]] for name in place) for row in funnel[1:]]
    points = data["cross_site"][0]["funnel"]["points"]
    assert found == [(point["site"], point["n"], point["median"], point["beyond"]) for point in points]
    checks = dict(zip(*book["Dose Check"].iter_rows(values_only=True), strict=True))
    assert (checks["Acquisitions"], checks["Alert passed"], checks["Exams"]) == (379, 6, "A00001")
    changes = list(book["Changes"].iter_rows(values_only=True))
    assert [(row[0], row[3]) for row in changes[1:]] == [
        ("2026-04-01", "exam mapping"),
        ("2026-02-03", "service"),
        ("2026-03-01", "new software"),
        ("2026-03-01", "step up"),
    ]
    verdicts = list(book["Verdicts"].iter_rows(values_only=True))
    place = {
        name: verdicts[0].index(name) for name in ("Period", "n", "ICRP flag", "Evidence", "p above", "Exceedance")
    }
    assert [tuple(row[i] for i in place.values()) for row in verdicts[1:]] == [
        ("2025-Q3", 31, False, "consistent", 0.9, "clear"),
        ("2025-Q4", 3, None, "insufficient", None, "clear"),
        ("2026-Q1", 33, True, "consistent", 0.31, "clear"),
        ("2026-Q2", 34, True, "exceeds", 0.0004, "standing"),
    ]
    levels = [dict(zip(*rows, strict=True)) for rows in _pairs_of(book["Local levels"])]
    assert [(row["Edition"], row["State"], row["Value"], row["CI low"], row["Edition before"]) for row in levels] == [
        ("2026-02-02", "proposed", 111, 104, 99),
        ("2026-01-01", "approved", 99, 92, None),
    ]
    (sheet,) = [dict(zip(*rows, strict=True)) for rows in _pairs_of(book["Worksheets"])]
    assert (sheet["Exam"], sheet["Effective dose (mSv)"], sheet["Usual of its group (mSv)"]) == ("E001040", 12, 1.3)
    bands = [dict(zip(*rows, strict=True)) for rows in _pairs_of(book["SSDE by diameter"])]
    assert [(row["From (mm)"], row["n"], row["Median SSDE (mGy)"]) for row in bands] == [
        (240, 311, 9), (280, 312, 12), (320, 313, 15)
    ]  # fmt: skip
    assert "Water-equivalent diameter (mm)" in next(book["Values"].iter_rows(values_only=True))


def _pairs_of(sheet: Any) -> list[tuple[Any, Any]]:
    head, *rows = sheet.iter_rows(values_only=True)
    return [(head, row) for row in rows]


def test_verdicts_levels_and_worksheets_are_on_the_page_and_in_print(rendered: ReportFiles) -> None:
    page = _words(rendered.html.read_text(encoding="utf-8"))
    pdf = " ".join(" ".join(one.extract_text() for one in pypdf.PdfReader(rendered.pdf).pages).split())
    for words in (page, pdf):
        assert re.search(r"2026-Q2 34 131 – 100 ▲ above, shown < ?0.001 stands", words.replace("&lt;", "<"))
        assert "◆ above, not shown" in words
        assert re.search(r"Head adult DLP \(mGy·cm\) 111 104 to 118 211 1 99.0 100 111 % of it", words)
        assert "◆ consider notification" in words and "○ not reached" in words
        assert "another exposure was intended, of 0.3 to 1.2 mSv" in words
        assert "12.0 mSv ± 4.2 (k = 2)" in words
    assert "MPE &lt;b&gt;" in page
    assert "decided" not in page.lower().split("worksheets for significant exposures")[1].split("decided by")[0]


def test_agreement_of_displayed_and_computed_dose_is_flagged(rendered: ReportFiles) -> None:
    page = _words(rendered.html.read_text(encoding="utf-8"))
    assert "1 239 views with both doses; 437 (35 %) differ by more than 25 %" in page
    assert "MG 1 (North) at 55 mm: 423 of 423, median ratio 1.40" in page
    assert "423 · median disagrees" in page


def test_service_and_software_are_marked_on_trends_and_running_charts(rendered: ReportFiles) -> None:
    page = rendered.html.read_text(encoding="utf-8")
    for name in ("trend-1", "monitor-1"):
        figure = re.search(rf'<figure id="{name}".*?</figure>', page, flags=re.DOTALL)
        assert figure, name
        told = _words(figure[0])
        assert "recalibration: meter &lt;i&gt; on 3 Feb 2026" in told.replace("\u00a0", " "), name
        # The mark itself: a rule in the colour that service has, beside its words.
        assert 'stroke="#5a4fa0"' in figure[0] and "recalibration" in re.sub(r"<figcaption.*", "", figure[0])


def test_every_chart_of_every_part_has_words_and_a_table(rendered: ReportFiles) -> None:
    page = rendered.html.read_text(encoding="utf-8")
    for name in (
        "funnel-1", "variance-shares", "site-factors-1", "monitor-1", "size-dose-1", "procedures-kap-1", "deviation-index-1",
        "deviation-index-months", "agd-thickness", "dose-check-values", "change-events", "outlier-groups", "verdicts-periods",
        "size-specific-1", "agd-agreement",
    ):  # fmt: skip
        figure = re.search(rf'<figure id="{name}".*?</figure>', page, flags=re.DOTALL)
        assert figure, name
        label = re.search(r'role="img" aria-label="([^"]+)"', figure[0])
        assert label and len(label[1]) > 40
        assert figure[0].count("<td>") >= 4
        assert figure[0].count("<th scope=") >= 4
    assert "Vale" in page and "beyond the limits: Vale" in page


def test_no_page_names_an_address(rendered: ReportFiles) -> None:
    for path in (rendered.html, rendered.board, rendered.html.parent / "share" / "shared.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"https?://", text), path.name
        assert "default-src 'none'" in text
        markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        assert not re.search(r"(?:src|href)=[\"'](?!#)", markup), path.name


def test_the_boards_page_names_nobody_and_nothing(rendered: ReportFiles) -> None:
    text = rendered.board.read_text(encoding="utf-8")
    text += " ".join(page.extract_text() for page in pypdf.PdfReader(rendered.board_pdf).pages)
    run = FrozenRun.load(rendered.html.parent)
    named = {name for row in run.rows(["exam_ref", "equipment"]) for name in row}
    named |= {"North", "South", "CT &lt;b&gt;", run.data["run"]["id"], run.data["run"]["frozen_input_sha256"]}
    named |= {"A00001", "v2", "CHEST_PA"}
    named -= {"2026"}  # an exam of the fixture that is named as the year
    words = _words(text)
    for name in named:
        assert not re.search(rf"(?<![\w%.]){re.escape(name)}(?![\w%])", words), name
    assert "about 80 examinations" in words
    assert "single examination with a dose unlike others of its kind: fewer than 5" in words
    # 41 exams at 0.6 and 41 at 1.3 of the level in steps of 1.01, the last of each nine times as high. So 40 lie below the
    # level, and the middle is between the two lowest of the others: 1.3 / 1.01^20 and 1.3 / 1.01^19.
    middle = 1.3 * (1.01**-20 + 1.01**-19) / 2
    assert f"CT: Head 80 {100 * middle:.0f} % above ▲ 1 of 2" in words
    assert (
        "That is of all machines together. Taken one by one, at least one machine lies above the level for 1 of these"
        in words
    )


def test_the_boards_page_says_so_where_no_machine_or_no_kind_is_above(run_dir: Path) -> None:
    path = run_dir / "report.json"

    def words() -> str:
        return _words(board_page(FrozenRun.load(run_dir), smallest=5))

    data = json.loads(path.read_text(encoding="utf-8"))
    for row in data["comparisons"]:
        row |= {"verdict": "WITHIN", "ratio": 0.1, "drl": row["drl"] | {"value": 1000.0}}
    path.write_text(json.dumps(data), encoding="utf-8")
    assert (
        "For 1 of 1 kinds of examination the typical dose is below the national level or about at it. That" in words()
    )
    assert "Taken one by one, no machine lies above the level." in words()
    assert re.search(r"CT: Head 80 \d+ % below none of 2 ", words())
    # A machine with too few exams for a verdict is no all-clear, and the less so where its median lies above.
    data["comparisons"][1]["verdict"] = "INSUFFICIENT_N"
    for ratio, more in ((0.9, ""), (1.26, ", 1 of them above")):
        data["comparisons"][1]["ratio"] = ratio
        path.write_text(json.dumps(data), encoding="utf-8")
        assert "Taken one by one, none of the machines that could be judged lies above the level." in words()
        assert ("Machines with too few examinations to be judged lie above it for 1 of these kinds" in words()) == (
            ratio > 1
        )
        assert re.search(rf"CT: Head 80 \d+ % below none of 1; 1 with too few examinations{more} ", words())
    data["comparisons"][0]["verdict"] = "INSUFFICIENT_N"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "No machine has enough examinations of a kind to be judged by itself." in words()
    assert "no machine lies above" not in words() and "none of the machines" not in words()
    for row in data["comparisons"]:
        row["drl"] = None
    data["completeness"]["compared"] = 3
    data["findings"] = []
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "No kind of examination was done often enough, and has a national level, to say how it compares." in words()
    assert "about fewer than 5 examinations" not in words() and "fewer than 5 examinations" in words()
    assert "Nothing needs to be looked into at present." in words()


@pytest.mark.parametrize(
    ("region", "level"),
    [("UK", "national level"), ("EU", "reference level"), (None, "reference level"), ("local", "local level")],
)
def test_the_boards_page_calls_a_level_national_only_where_it_is(run_dir: Path, region: str | None, level: str) -> None:
    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    (used,) = data["run"]["drl_sets"]
    used.pop("region")
    data["run"]["drl_sets"] = [used | ({"region": region} if region else {}), used | {"set": "b-set", "region": "IE"}]
    path.write_text(json.dumps(data), encoding="utf-8")
    words = _words(board_page(FrozenRun.load(run_dir), smallest=5))
    assert f"the typical dose is below the {level} or about at it" in words
    assert {"national level", "local level"} & {
        name for name in ("national level", "local level") if name in words
    } == {level} - {"reference level"}


def test_without_pango_all_else_is_written_and_one_line_says_how(
    whole_run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    made = render_run(whole_run_dir, tmp_path, formats=("html", "pdf", "board"))
    assert made.html.exists() and made.board.exists()
    assert not made.pdf.exists() and not made.board_pdf.exists()
    assert "libpango" in made.not_made and "\n" not in made.not_made


def test_an_unknown_format_is_named(whole_run_dir: Path) -> None:
    with pytest.raises(ValueError, match="no format docx"):
        render_run(whole_run_dir, formats=["docx"])
