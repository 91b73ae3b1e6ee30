"""The commands on the project's own sample objects: what they print, what they leave behind, how they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pydicom
import pytest
import typer

from dose_audit.cli.common import show_table
from dose_audit.cli.dates import a_day
from dose_audit.config import Settings
from dose_audit.ingest.run import scan_paths
from tests.patience import LONG_S, wait_until

SAMPLES = Path(__file__).resolve().parent.parent.parent / "testdata"


def run(home: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dose_audit.cli", "--home", str(home), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == expect, done.stderr[-2000:]
    return done


def test_extract_prints_one_json_line_an_exam(tmp_path: Path) -> None:
    done = run(tmp_path / "home", "extract", "--json", str(SAMPLES))
    exams = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(exams) == len({exam["study_instance_uid"] for exam in exams}) > 5
    assert all(exam["patient"]["name"] is None and exam["patient"]["patient_id"] is None for exam in exams)
    assert not (tmp_path / "home").exists()


def test_extract_tells_what_it_cannot_read_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "text.dcm").write_text("no DICOM here" * 50)
    report = next(SAMPLES.glob("*ct*.dcm"))
    shutil.copy(report, tmp_path / "good.dcm")
    done = run(tmp_path / "home", "extract", "--json", str(tmp_path))
    assert len(done.stdout.splitlines()) == 1
    assert "empty.dcm" in done.stderr and "text.dcm" in done.stderr
    done = run(tmp_path / "home", "extract", str(tmp_path / "empty.dcm"), expect=1)
    assert len([line for line in done.stderr.splitlines() if "empty.dcm" in line]) == 1
    image = pydicom.dcmread(SAMPLES / "single-ct-image.dcm")
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    image.Modality = "MR"
    image.save_as(tmp_path / "magnetic.dcm")
    read = run(tmp_path / "home", "extract", str(tmp_path / "empty.dcm"), str(tmp_path / "magnetic.dcm"))
    assert "1 not relevant, 1 unreadable" in read.stderr  # something could be read, so this is no failure


def test_second_scan_changes_nothing_and_says_so(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(SAMPLES, tree)
    archive = tree / "more.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(next(SAMPLES.glob("*ct*.dcm")), "inside/one.dcm")
    home = tmp_path / "home"
    first = json.loads(run(home, "scan", str(tree), "--site", "North", "--json").stdout)
    assert first["changed"] and first["registered"] > 5
    second = json.loads(run(home, "scan", str(tree), "--site", "North", "--json").stdout)
    assert not second["changed"] and second["registered"] == 0
    assert "Nothing new" in run(home, "scan", str(tree), "--site", "North").stdout


def test_a_scan_tells_what_it_read_of_one_that_was_interrupted(tmp_path: Path) -> None:
    home, report = tmp_path / "home", next(SAMPLES.glob("*ct*.dcm"))
    scan_paths(Settings(home=home), [report])  # and no further
    told = run(home, "scan", str(report)).stdout
    assert "0 new, 1 known before" in told
    assert "1 object read: 1 extracted" in told and "Nothing new" not in told


def test_a_scan_says_that_it_lists_no_more_and_its_counts_add_up(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    one, other = sorted(SAMPLES.glob("*ct*.dcm"))[:2]
    shutil.copy(one, tree)
    with zipfile.ZipFile(tree / "many.zip", "w") as archive:
        archive.write(other, "other.dcm")
        for number in range(1200):
            archive.writestr(f"{number}", b"")
    (tree / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    done = run(tmp_path / "home", "scan", str(tree))
    assert "1 file and 1201 members of 2 zip archives, 2 of them DICOM: 2 new, 0 known before" in done.stdout
    assert " 0 without dose, 1200 unreadable.\n1 folder or archive could not be read" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1001 and lines[-1] == "and 201 more like these, which are counted and not listed"
    told = json.loads(run(tmp_path / "home", "scan", str(tree), "--json").stdout)
    fates = ("registered", "duplicates", "conflicts", "unreadable")
    assert told["files"] == sum(told[name] for name in fates) + sum(told["not_relevant"].values()) == 1202
    assert (told["members"], told["archives"], told["unread_folders_and_archives"]) == (1201, 2, 1)
    only = tmp_path / "only.zip"
    shutil.copy(tree / "broken.zip", only)
    assert "0 files and 0 members of 1 zip archive" in run(tmp_path / "home", "scan", str(only), expect=1).stdout


def test_audit_of_nothing_is_calm_and_draws_a_report(tmp_path: Path) -> None:
    done = run(tmp_path, "audit", "--since", "2026-01-01", "--until", "2026-06-30", "--json")
    told = json.loads(done.stdout)
    report = json.loads(Path(told["json"]).read_text())
    assert report["completeness"]["received"] == 0 and report["comparisons"] == []
    assert "Nothing to act on" in Path(told["html"]).read_text(encoding="utf-8")


def test_drl_commands(tmp_path: Path) -> None:
    sets = json.loads(run(tmp_path, "drl", "list", "--json").stdout)
    assert {"uk-adult-ct", "eu-rp185-paediatric-ct"} <= {item["set"] for item in sets}
    rows = json.loads(run(tmp_path, "drl", "show", "uk-adult-ct/2024-11-20", "--json").stdout)
    # UKHSA, National Diagnostic Reference Levels from 20 November 2024, Table 1.
    found = {(row["examination"], row["quantity"]): row["value"] for row in rows}
    assert found[("ct-chest-abdomen-pelvis-cancer", "DLP")] == 660
    assert "0 errors" in run(tmp_path, "drl", "check").stdout
    assert "no set 'nowhere'" in run(tmp_path, "drl", "show", "nowhere", expect=1).stderr


def test_doctor_shows_checks_and_where_settings_come_from(tmp_path: Path) -> None:
    (tmp_path / "dose-audit.toml").write_text('port = 0\nnetwork_name = "Test network"\n')
    told = json.loads(run(tmp_path, "doctor", "--json").stdout)
    assert {check["name"] for check in told["checks"]} >= {
        "Python",
        "codecs",
        "disk",
        "database",
        "spool",
        "clock",
        "port",
        "reference levels",
    }
    assert told["settings"]["network_name"] == {"value": "Test network", "from": str(tmp_path / "dose-audit.toml")}
    assert told["settings"]["aet"]["from"] == "default"


@pytest.mark.skipif(os.name == "nt", reason="Windows sends its Ctrl-C to a whole console")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_what_becomes_of_its_work(tmp_path: Path, stop: signal.Signals) -> None:
    tree = tmp_path / "tree"
    for number in range(200):
        shutil.copytree(SAMPLES, tree / str(number))
    command = [sys.executable, "-m", "dose_audit.cli", "--home", str(tmp_path / "home"), "scan", str(tree)]
    # A shell that starts programs in the background has them ignore the signal; a terminal does not.
    program = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTIBLE, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: (tmp_path / "home" / "spool").exists())
    program.send_signal(stop)
    told = program.communicate(timeout=LONG_S)[1]
    assert (program.returncode, told.count("run it again for the rest")) == (130, 1), told
    assert "Traceback" not in told


_INTERRUPTIBLE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_key_that_another_command_takes_is_never_broken_over_lines(capsys: pytest.CaptureFixture[str]) -> None:
    key = "phantom_out_of_tolerance:32ca37c2562561a9fadd"
    show_table(["Key", "Message"], [[key, "long " * 200]], whole=("Key",))
    assert key in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        "audit --since", "audit --drl-on", "retrieve --until", "reconcile --since", "phantom schedule list --on",
        "drl propose local-a --by MPE --until 2026-01-01 --since", "dosimetry recompute --until",
    ],
)  # fmt: skip
def test_a_date_that_is_none_is_explained_alike_everywhere(tmp_path: Path, words: str) -> None:
    wrong = "20.3.2022"
    told = run(tmp_path, *words.split(), wrong, expect=2).stderr
    assert f"{wrong!r} is no date: give year, month and day, as 2026-01-31 or 20260131" in told, told


@pytest.mark.parametrize("wrong", ["", "2022-02-30", "2022031", "20220320x", "2022"])
def test_what_is_no_day_is_refused(wrong: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no date"):
        a_day(wrong)


def test_dates_are_taken_as_dicom_writes_them(tmp_path: Path) -> None:
    told = run(tmp_path, "audit", "--since", "20220320", "--until", "2022-06-30", "--json")
    period = json.loads(Path(json.loads(told.stdout)["json"]).read_text())["run"]
    assert (period["since"], period["until"]) == ("2022-03-20", "2022-06-30")


def test_phantoms_of_the_homes_own_are_listed(tmp_path: Path) -> None:
    from dose_audit.phantom.definition import shipped_folder

    own = tmp_path / "home" / "phantom_definitions"
    own.mkdir(parents=True)
    text = (shipped_folder() / "water-uniform.toml").read_text(encoding="utf-8")
    (own / "our-bucket.toml").write_text(text.replace('id = "water-uniform"', 'id = "our-bucket"'), encoding="utf-8")
    told = run(tmp_path / "elsewhere", "phantom", "list", "--json", "--home", str(tmp_path / "home")).stdout
    assert {"our-bucket", "water-uniform"} <= {row["id"] for row in json.loads(told)}


def test_a_spool_without_room_is_told_in_words(tmp_path: Path) -> None:
    home, archive = tmp_path / "home", tmp_path / "export.zip"
    home.mkdir()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(next(SAMPLES.glob("*ct*.dcm")), "report.dcm")
    (home / "dose-audit.toml").write_text("min_free_bytes = 4000000000000000\n")  # more than there is
    told = run(home, "scan", str(archive), expect=1).stderr
    assert "4e+06 GB must stay free (min_free_bytes)" in told and "Traceback" not in told
    told = run(home, "status").stderr
    assert "free space is below that: senders are refused, and send again later" in told
    (home / "dose-audit.toml").write_text("min_free_bytes = 0\n")
    run(home, "scan", str(archive))
    state = json.loads(run(home, "status", "--json").stdout)
    assert state["kept_bytes"] == next(SAMPLES.glob("*ct*.dcm")).stat().st_size
    assert run(home, "status").stderr == ""
