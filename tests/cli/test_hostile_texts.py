"""Names in files, and names of files, that would steer a terminal, forge a line or end the program."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from pathlib import Path

import pydicom
import pytest

from dose_audit.cli.common import print_json, show_table
from dose_audit.cli.streams import CleanStream, OneLineFormatter, guard_streams, unguarded
from dose_audit.texts import clean
from tests.cli.test_commands import SAMPLES, run

HOSTILE = "CT\x0b1\x1b[31m\x9b2J\u202e"
FORGED = "name\n0 exams; 1 of all.\r\x1b[2Kx"


@pytest.fixture
def hostile_files(tmp_path: Path) -> Path:
    """Two dose reports and something unreadable; one name has bytes that are no UTF-8, another ends a line."""
    folder = tmp_path / "tree"
    folder.mkdir()
    settings = pydicom.config.settings
    kept, settings.writing_validation_mode = settings.writing_validation_mode, 0
    try:
        for sample, name in (("ct-canon.dcm", b"b\xfcro\x1b[31m.dcm"), ("dx-report-canon.dcm", b"two\nlines.dcm")):
            dataset = pydicom.dcmread(SAMPLES / sample)
            dataset.SpecificCharacterSet = "ISO_IR 192"
            dataset.StationName = dataset.StudyDescription = dataset.ManufacturerModelName = HOSTILE
            buffer = io.BytesIO()
            dataset.save_as(buffer)
            (folder / os.fsdecode(name)).write_bytes(buffer.getvalue())
    finally:
        settings.writing_validation_mode = kept
    (folder / FORGED).write_bytes(b"no DICOM" * 50)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse these names")
def test_scan_and_extract_tell_and_show_nothing_hostile(hostile_files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run(home, "scan", str(hostile_files), "--site", HOSTILE)
    assert "3 files, 2 of them DICOM: 2 new" in done.stdout
    assert done.stderr.count("\n") == 1
    read = run(home, "extract", str(hostile_files))
    assert "CT\ufffd1" in read.stdout
    assert read.stderr.splitlines()[1] == "2 exams; 1 unreadable."
    for told in (done, read):
        assert clean(told.stdout + told.stderr) == told.stdout + told.stderr


def test_a_table_is_plain_text_of_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["Name [bold]"], [[HOSTILE], [FORGED], ["[red]x[/]"], ["y" * 100_000]], title="A [blue]title\n[/]")
    shown = capsys.readouterr().out
    assert clean(shown) == shown
    assert "[red]x[/]" in shown
    assert "[blue]title" in shown
    assert not any(line.startswith("0 exams") for line in shown.splitlines())
    assert shown.count("y") <= 2000


def test_json_keeps_every_character_and_shows_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({HOSTILE: [FORGED, "胸部"]})
    shown = capsys.readouterr().out
    assert clean(shown) == shown
    assert json.loads(shown) == {HOSTILE: [FORGED, "胸部"]}


def test_guard_cleans_what_is_printed_and_lets_colours_through(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = io.StringIO()
    monkeypatch.setattr(sys, "stdout", behind)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    guard_streams()
    guard_streams()
    guarded = sys.stdout
    assert isinstance(guarded, CleanStream)
    assert unguarded(guarded) is behind
    print(HOSTILE, "\udcff")
    guarded.writelines([HOSTILE, "\n"])
    assert behind.getvalue() == f"{clean(HOSTILE)} \ufffd\n{clean(HOSTILE)}\n"


def test_a_logged_message_is_one_line() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "sent by %s", (FORGED,), sys.exc_info())
    first, *rest = OneLineFormatter("%(levelname)s %(message)s").format(record).splitlines()
    assert first == "ERROR sent by name 0 exams; 1 of all. \ufffd[2Kx"
    assert rest[0].startswith("Traceback")
    assert rest[-1] == f"ValueError: {clean(HOSTILE)}"
