"""The report page: stands alone, says what the data say, and works in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dose_audit
from dose_audit import program
from dose_audit.program import program_sha256
from dose_audit.report import render_run, share_run
from dose_audit.report.board import board_page
from dose_audit.report.frozen import FrozenRun, FrozenRunError
from dose_audit.report.stamp import version_stamp
from tests.patience import LONG_S
from tests.report.conftest import write_whole_run
from tests.report.sections import all_sections


class _Texts(HTMLParser):
    """Element counts and the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.labels: list[str] = []
        self.text: list[str] = []
        self._skip = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        given = dict(attrs)
        if given.get("role") == "img":
            self.labels.append(given.get("aria-label") or "")
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skip -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text.append(data)


@pytest.fixture
def page(run_dir: Path) -> str:
    return render_run(run_dir).html.read_text(encoding="utf-8")


def test_names_no_address_outside(page: str) -> None:
    assert re.findall(r"https?://[^\s\"']+", page) == []
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"<(?:link|img|iframe|script)[^>]+(?:src|href)=", markup)
    assert "default-src 'none'" in page


def test_same_folder_same_bytes(run_dir: Path, tmp_path: Path) -> None:
    first, second = render_run(run_dir, tmp_path / "a"), render_run(run_dir, tmp_path / "b")
    for one, two in ((first.html, second.html), (first.xlsx, second.xlsx), (first.json, second.json)):
        assert one.read_bytes() == two.read_bytes(), one.name


def test_a_run_of_another_version_is_drawn_and_says_so_everywhere(run_dir: Path, tmp_path: Path) -> None:
    """A run of this version bears no such line, whichever file is looked at; one of version 0.0.1 has it in every one."""
    import zipfile

    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for made, times in ((dose_audit.__version__, 0), ("0.0.1", 1)):
        data["run"]["versions"]["engine"] = made
        path.write_text(json.dumps(data), encoding="utf-8")
        files = render_run(run_dir, tmp_path / made, formats=("html", "csv"))
        shared, _ = share_run(run_dir, tmp_path / made, formats=("html",))
        line = f"made by version {made} of the program and is drawn here by version {dose_audit.__version__}"
        for page in (files.html, shared / "shared.html"):
            assert page.read_text(encoding="utf-8").count(line) == times, page.name
        assert board_page(FrozenRun.load(run_dir), smallest=5).count(line) == times
        with zipfile.ZipFile(files.csv) as archive:
            assert archive.read("summary.csv").decode().count(line) == times
        assert (line in files.stamp) == bool(times)


def test_a_run_of_another_state_of_this_version_is_drawn_and_says_so(run_dir: Path) -> None:
    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for state, told in (
        (None, ""),
        (program_sha256(), ""),
        ("0" * 64, f"by version {dose_audit.__version__} (000000000000) of the program"),
    ):
        data["run"]["versions"] |= {"program_sha256": state} if state else {}
        path.write_text(json.dumps(data), encoding="utf-8")
        line = version_stamp(FrozenRun.load(run_dir))
        assert (told in line) and bool(line) == bool(told)
    assert "Only the state that made a run draws it again byte for byte" in line


def test_the_state_of_the_program_is_that_of_its_text_tables_and_templates(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(program, "__file__", str(tmp_path / "program.py"))
    (tmp_path / "report" / "templates").mkdir(parents=True)
    found = []
    for name, text in (
        ("a.py", "1"),
        ("a.py", "2"),
        ("report/templates/page.j2", "<p>"),
        ("report/causes.toml", "a = 1"),
        ("report/b.py", "2"),
    ):
        (tmp_path / name).write_text(text)
        found.append(program_sha256.__wrapped__())
    assert len(set(found)) == 5
    (tmp_path / "a.cpython-311.pyc").write_text("compiled")
    assert program_sha256.__wrapped__() == found[-1]
    assert program_sha256.__wrapped__(libraries=("pytest",)) != found[-1]
    below = program_sha256.__wrapped__(("report",))
    (tmp_path / "a.py").write_text("3")
    assert program_sha256.__wrapped__(("report",)) == below


def test_every_chart_has_its_words_and_table(page: str) -> None:
    found = _Texts()
    found.feed(page)
    assert found.counts["figure"] == len(found.labels) >= 4
    assert all(len(label) > 30 for label in found.labels)
    assert found.counts["details"] >= found.counts["figure"]
    assert any("CT <b>1</b>, Head: 1.30 times the level" in label for label in found.labels)


def test_first_the_answer_then_the_actions_then_the_evidence(page: str) -> None:
    names = ("summary", "actions", "completeness", "medians", "methods")
    order = [page.index(f'<section id="{name}"') for name in names]
    assert order == sorted(order)
    found = _Texts()
    found.feed(page)
    words = " ".join(" ".join(found.text).split())
    assert "1 finding to act on and 1 to check." in words
    assert "Doses: 1 of 2 groups has a median above the reference level; chance alone does not explain it." in words
    assert "Image quality: no phantom was measured and none is on a schedule." in words
    assert "83 objects received" in words
    assert "the states above add up" in words
    assert "1 object in quarantine: the object ends in the middle of an element" in words
    assert "Median 130 mGy·cm is above the level of 100." in words
    assert "Contains unverified reference levels: A set (2024-01-01)" in words


def test_the_activity_chart_counts_whole_weeks_without_exams_by_device(run_dir: Path) -> None:
    path = run_dir / "values.parquet"
    rows = pq.read_table(path).to_pylist()
    gone = (date(2026, 2, 2), date(2026, 3, 8))  # five weeks, Monday to Sunday; exams come every fourth day
    kept = [
        row for row in rows if not (row["equipment"] == "CT 2" and gone[0] <= row["study_datetime"].date() <= gone[1])
    ]
    assert len(rows) - len(kept) > 7
    pq.write_table(pa.Table.from_pylist(kept), path)
    found = _Texts()
    found.feed(render_run(run_dir, formats=("html",)).html.read_text(encoding="utf-8"))
    assert any("5 whole device-weeks without any exam: CT 2 5." in label for label in found.labels)


def test_exams_by_site_have_their_total_and_none_where_a_site_has_no_count(run_dir: Path) -> None:
    data = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    for site, (compared, left_out) in zip(data["completeness"]["by_site"], ((40, 1), (37, 4)), strict=True):
        site |= {"compared": compared, "left_out": left_out}
    data["completeness"]["by_site"][0]["unmapped"] = 2000
    (run_dir / "report.json").write_text(json.dumps(data), encoding="utf-8")
    section = _section(render_run(run_dir, formats=["html"]).html.read_text(encoding="utf-8"), "completeness")
    (total,) = re.findall(r"<tfoot>(.*?)</tfoot>", section)
    assert re.findall(r"<t[hd][^>]*>(.*?)</t", total) == ["All sites", "83", "1", "82", "77", "2\u202f000", "5"]
    for site in data["completeness"]["by_site"]:
        del site["compared"]  # as runs of earlier versions have it
    (run_dir / "report.json").write_text(json.dumps(data), encoding="utf-8")
    section = _section(render_run(run_dir, formats=["html"]).html.read_text(encoding="utf-8"), "completeness")
    assert re.findall(r"<t[hd][^>]*>(.*?)</t", section.split("<tfoot>")[1])[4] == "–"


def test_too_few_exams_above_the_level_are_no_verdict_and_no_all_clear(run_dir: Path) -> None:
    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    above = data["comparisons"][0]
    above.update(n=16, verdict="INSUFFICIENT_N", evidence="insufficient", ci_low=104.0)
    period = {"name": "2026-01-01 to 2026-06-30", "first": "2026-01-01", "last": "2026-06-30"}
    period |= {"ci_low": 104.0, "ci_high": 161.0, "p_above": None, "p_below": None, "changed": False, "reason": ""}
    period |= {"n": 16, "median": 130.0, "icrp_flag": None, "evidence": "insufficient", "finding": "unknown"}
    well = period | {"n": 41, "median": 60.0, "icrp_flag": False, "evidence": "below", "finding": "clear"}
    for row, one in zip(data["comparisons"], (period, well), strict=True):
        row["verdicts"] = {"basis": "period", "finding": one["finding"], "periods": [one]}
    path.write_text(json.dumps(data), encoding="utf-8")
    found = _Texts()
    found.feed(render_run(run_dir, formats=("html",)).html.read_text(encoding="utf-8"))
    words = " ".join(" ".join(found.text).split())
    assert "◆ Doses: none of 1 group has a median above its reference level. Too few exams for a verdict" in words
    assert "interval wholly above the level: 1 group (CT <b>1</b>, Head)." in words
    assert "◆ No finding, for want of exams: Too few exams for a verdict" in words
    assert "No period of 1 group with enough exams has a median above its level. 1 more group had too few" in words
    assert "1 of 2 groups judged; 1 has too few exams." in words
    assert any(
        "0 of 1 group has a median above the reference level. Of 1 group with too few exams for a verdict, 1 lies above it:"
        " CT <b>1</b>, Head: 1.30 times the level." in label
        for label in found.labels
    )


def _section(page: str, name: str) -> str:
    """One section's markup."""
    return page.split(f'<section id="{name}">')[1].split("</section>")[0]


def test_levels_of_unknown_date_are_told_in_the_answer_beside_the_data_and_in_the_methods(run_dir: Path) -> None:
    def page_with(*flags: str) -> str:
        data = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
        reason = (
            "x-set 2026-11-21 has it, but it is not known from when it applies: it answers for exams from 2026-11-21"
        )
        data["comparisons"][1] |= {"drl": None, "verdict": "NO_DRL", "ratio": None, "flags": flags, "reason": reason}
        (run_dir / "report.json").write_text(json.dumps(data), encoding="utf-8")
        return render_run(run_dir, formats=["html"]).html.read_text(encoding="utf-8")

    page = page_with("VALIDITY_NOT_KNOWN")
    told = "1 group of 2 has no level only for want of a date: x-set 2026-11-21 has it"
    assert "1 has no level (because it is not known from when the edition applies that has one)" in _section(
        page, "summary"
    )
    for name in ("completeness", "methods", "medians"):
        assert told in _section(page, name), name
    assert "exams from 21\u00a0Nov\u00a02026" in _section(page, "completeness")
    assert "No level†" in _section(page, "medians")
    page = page_with()
    assert "No level</td>" in page and "for want of a date" not in page and "†" not in page.split("<script")[0]


def test_text_of_the_data_is_never_markup(page: str) -> None:
    assert "CT <b>1</b>" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL).replace("aria-label", "")


def test_states_that_do_not_add_up_are_told(run_dir: Path) -> None:
    path = run_dir / "report.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"balanced": true', '"balanced": false'), encoding="utf-8")
    assert "do not add up" in render_run(run_dir).html.read_text(encoding="utf-8")


def _changed(run_dir: Path, change: Any) -> str:
    """The page of the run after a change to its data, its words alone."""
    path = run_dir / "report.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    found = _Texts()
    found.feed(render_run(run_dir).html.read_text(encoding="utf-8"))
    return " ".join(" ".join(found.text).split())


def test_a_run_that_compared_nothing_gives_no_all_clear(run_dir: Path) -> None:
    def nothing(data: dict[str, Any]) -> None:
        why = "nothing was compared: none of the 82 exams has a known examination."
        data["run"]["nothing_compared"] = why
        data["completeness"] |= {"compared": 0, "unmapped": 82}
        data["comparisons"], data["findings"] = [], []

    words = _changed(run_dir, nothing)
    assert "Nothing to act on" not in words
    assert "No finding, and no all-clear: nothing was compared." in words
    assert "◆ Data: 0 of 82 exams grouped for comparison (82 unmapped)." in words


def test_exams_of_groups_without_a_level_are_not_told_as_compared(run_dir: Path) -> None:
    def no_level(data: dict[str, Any]) -> None:
        data["run"]["nothing_compared"] = "nothing was compared: the loaded reference levels have none."
        data["completeness"] |= {"compared": 70, "unmapped": 12, "excluded": 0}
        data["comparisons"] = [row | {"verdict": "NO_DRL", "drl": None} for row in data["comparisons"]]
        data["findings"] = []

    words = _changed(run_dir, no_level)
    assert "Data: 70 of 82 exams grouped for comparison (12 unmapped). 0 of " in words


def test_objects_that_were_not_read_are_in_the_answer(run_dir: Path) -> None:
    def wait(data: dict[str, Any]) -> None:
        data["completeness"]["by_state"]["pending"] = 659

    assert "659 received objects not read yet: in no number here." in _changed(run_dir, wait)


def test_what_is_not_in_the_run_is_told_in_one_sentence(page: str) -> None:
    assert '<section id="agd"' not in page
    assert "mammography (no mammography with thickness and glandular dose)" in page


def test_many_findings_of_one_kind_on_one_device_share_a_card(run_dir: Path) -> None:
    def many(data: dict[str, Any]) -> None:
        one = data["findings"][1]
        data["findings"] += [one | {"id": str(n), "key": f"k{n}", "subject": f"Quantity {n}"} for n in range(3, 8)]

    words = _changed(run_dir, many)
    assert "CT <b>1</b>: 6 together" in words
    assert all(f"Quantity {n}." in words for n in range(3, 8))


def test_many_devices_of_a_site_to_check_for_one_reason_share_a_card(run_dir: Path) -> None:
    def many(data: dict[str, Any], devices: int) -> None:
        one = data["findings"][1] | {
            "kind": "new_device",
            "severity": "check",
            "site": "North",
            "subject": "First seen",
        }
        one |= {"likely_causes": ["a loan"], "state": "new"}
        data["findings"] = [
            one | {"id": str(n), "key": f"k{n}", "equipment": f"Room {n}", "message": f"Seen {n}."}
            for n in range(devices)
        ]

    words = _changed(run_dir, lambda data: many(data, 6))
    assert "North: 6 together" in words
    assert all(f"Room {n}: First seen. Seen {n}." in words for n in range(6))
    assert words.count("a loan") == 1
    alike = _changed(run_dir, lambda data: [finding.update(message="Enter it.") for finding in data["findings"]])
    assert alike.count("Enter it.") == 1

    apart = _changed(run_dir, lambda data: many(data, 5))
    assert "5 together" not in apart
    assert apart.count("a loan") == 5


@pytest.mark.parametrize(("until", "told"), [("2025-12-31", False), ("2026-01-01", True)])
def test_levels_held_against_the_exams_they_were_computed_from_are_told(run_dir: Path, until: str, told: bool) -> None:
    def local(data: dict[str, Any]) -> None:
        one = all_sections()["local_levels"][1]
        data["local_levels"] = [one | {"in_use": True, "since": "2025-07-01", "until": until}]
        assert data["run"]["since"] == "2026-01-01"

    assert ("computed from exams that are also compared with it here" in _changed(run_dir, local)) is told


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FrozenRunError, match=r"has no report\.json"):
        render_run(tmp_path)


LONG_MS = 1000 * LONG_S


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (tests/install_peers.sh installs it as root on Debian)")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=path, args=[*flags, "--disable-component-update", "--disable-sync"], timeout=LONG_MS
        )
        yield chromium
        chromium.close()


def _view(browser: Any, **more: Any) -> Any:
    view = browser.new_page(**more)
    view.set_default_timeout(LONG_MS)
    return view


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_come_alive_and_nothing_is_fetched(browser: Any, run_dir: Path, scheme: str) -> None:
    from playwright.sync_api import expect

    html = render_run(run_dir).html
    view = _view(browser, color_scheme=scheme, viewport={"width": 1200, "height": 900})
    errors: list[str] = []
    requests: list[str] = []
    view.on("pageerror", lambda error: errors.append(str(error)))
    view.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    view.on("request", lambda request: requests.append(request.url))
    view.goto(html.as_uri())
    for place in view.locator(".drawing").all():
        place.scroll_into_view_if_needed()
    # Not by a function in the page: the report's policy allows no text to be run as code.
    expect(view.locator(".drawing:not([data-drawn])")).to_have_count(0, timeout=LONG_MS)
    assert view.locator(".drawing[data-drawn=yes]").count() == view.locator(".drawing").count() > 0
    assert errors == []
    assert requests == [html.as_uri()]
    view.close()


@pytest.mark.browser
def test_a_living_chart_has_the_words_of_its_drawing(browser: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    # An axis that only the drawing can label would be bare on the page, where no text is run as code.
    page = render_run(write_whole_run(tmp_path / "run")).html.as_uri()
    told = []
    for script in (False, True):
        context = browser.new_context(java_script_enabled=script, viewport={"width": 1200, "height": 900})
        view = _view(context)
        view.goto(page)
        places = view.locator(".drawing").all()
        for place in places if script else ():
            place.scroll_into_view_if_needed()
        if script:
            expect(view.locator(".drawing:not([data-drawn])")).to_have_count(0, timeout=LONG_MS)
        told.append([set(place.locator("text").all_text_contents()) for place in places])
        context.close()
    assert len(told[0]) == len(told[1]) > 10
    for drawn, living in zip(*told, strict=True):
        assert drawn == living


@pytest.mark.browser
def test_a_point_answers_to_the_mouse(browser: Any, run_dir: Path) -> None:
    view = _view(browser, viewport={"width": 1200, "height": 900})
    view.goto(render_run(run_dir).html.as_uri())
    chart = view.locator("#medians-ct-dlp .drawing[data-drawn=yes]")
    view.locator("#medians-ct-dlp").scroll_into_view_if_needed()
    chart.wait_for()
    chart.locator("g.mark-symbol path").first.hover()
    tip = view.locator("#vg-tooltip-element")
    tip.wait_for()
    assert "Reference level" in tip.inner_text()
    view.close()


@pytest.mark.browser
def test_nothing_is_wider_than_a_phone(browser: Any, run_dir: Path) -> None:
    view = _view(browser, viewport={"width": 360, "height": 700})
    view.goto(render_run(run_dir).html.as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") <= 360
    view.close()
