"""The scanner: whatever lies in a tree is a line in the summary, and nothing stops the rest."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dose_audit.receive.archive import ArchiveLimits
from dose_audit.receive.scanner import ScanSummary, Unreadable, Verdict, scan
from dose_audit.receive.spool import Spool
from tests.receive.leftovers import unfinished


def judge(source: Path | bytes) -> Verdict:
    """A format of our own for these tests: ``DOSE <uid> <study> <word>``; the scanner itself knows no DICOM."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    words = data.split(b"\n", 1)[0].decode("ascii", "replace").split()
    if not words or words[0] != "DOSE":
        raise Unreadable("not a DICOM file")
    _, uid, study, *rest = words
    word = rest[0] if rest else ""
    return Verdict(
        reason="carries no dose" if word == "other" else "",
        sop_class_uid="1.2.3",
        sop_instance_uid=uid,
        study=study,
        is_report=word == "report",
        only_without_report=word == "slice",
    )


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool", min_free_bytes=0, fsync=False) as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "a" / "b").mkdir(parents=True)
    return folder


def _reasons(summary: ScanSummary) -> dict[str, str]:
    return {Path(place).name: reason for place, reason in summary.unreadable}


def test_every_kind_of_entry_is_met(tree: Path, spool: Spool) -> None:
    (tree / "a" / "one").write_bytes(b"DOSE 1.1 1")
    (tree / "a" / "b" / "two").write_bytes(b"DOSE 1.2 1")
    (tree / "a" / "other").write_bytes(b"DOSE 1.3 1 other")
    (tree / "empty").touch()
    (tree / "letter.txt").write_text("Dear colleague")
    (tree / "loop").symlink_to(tree)
    (tree / "dangling").symlink_to(tree / "nothing")
    (tree / "itself").symlink_to(tree / "itself")
    (tree / "link").symlink_to(tree / "a" / "one")
    os.mkfifo(tree / "pipe")
    summary = scan([tree], spool, judge, site="North")
    assert (summary.dicom, summary.registered) == (4, 3)
    assert summary.not_relevant == {"carries no dose": 1}
    reasons = _reasons(summary)
    assert reasons["empty"] == "empty"
    assert reasons["letter.txt"] == "not a DICOM file"
    assert reasons["itself"] == "too many levels of symbolic links"
    assert reasons["pipe"] == "no regular file"
    assert reasons["dangling"] == "no such file or directory"
    assert {row["source"] for row in spool.sources()} == {"scan:North"}


def test_a_second_scan_changes_nothing(tree: Path, spool: Spool) -> None:
    for number in range(5):
        (tree / f"{number}").write_bytes(b"DOSE 1.%d 1" % number)
    assert scan([tree], spool, judge).changed
    again = scan([tree, tree / "3"], spool, judge)
    assert not again.changed
    assert again.duplicates == 6
    assert spool.counts()["received"] == 5


def test_a_missing_path_and_a_locked_folder_are_lines(
    tree: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "one").write_bytes(b"DOSE 1.1 1")
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "b":  # root may read what it likes, so the system's refusal is put in here
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    summary = scan([tree / "nowhere", tree], spool, judge)
    assert summary.registered == 1
    assert _reasons(summary) == {"nowhere": "no such file or directory", "b": "permission denied"}
    assert (summary.closed, summary.unreadable_count, summary.apart) == (2, 2, 1)
    assert summary.files == 2  # a place that is not there counts as a file


def test_a_file_that_vanishes_between_glance_and_reading(tree: Path, spool: Spool) -> None:
    (tree / "one").write_bytes(b"DOSE 1.1 1")
    (tree / "two").write_bytes(b"DOSE 1.2 1")

    def judge_and_remove(source: Path | bytes) -> Verdict:
        verdict = judge(source)
        if isinstance(source, Path) and source.name == "one":
            source.unlink()
        return verdict

    summary = scan([tree], spool, judge_and_remove)
    assert summary.registered == 1
    assert _reasons(summary) == {"one": "no such file or directory"}


def test_slices_are_registered_only_without_a_report(tree: Path, spool: Spool) -> None:
    for number in range(3):
        (tree / f"{number}").write_bytes(b"DOSE 1.1.%d 1.1 slice" % number)
        (tree / "a" / f"{number}").write_bytes(b"DOSE 1.2.%d 1.2 slice" % number)
    (tree / "z report").write_bytes(b"DOSE 1.1.9 1.1 report")  # met last
    summary = scan([tree], spool, judge)
    assert summary.registered == 4
    assert sum(summary.not_relevant.values()) == 3


def test_our_own_spool_is_not_scanned(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"DOSE 1.1 1")
    with Spool(tmp_path / "spool", min_free_bytes=0, fsync=False) as spool:
        summary = scan([tmp_path], spool, judge)
        assert (summary.files, summary.registered) == (1, 1)


def test_progress_sees_every_file(tree: Path, spool: Spool) -> None:
    for number in range(4):
        (tree / f"{number}").write_bytes(b"DOSE 1.%d 1" % number)
    seen: list[int] = []
    scan([tree], spool, judge, progress=lambda now: seen.append(now.files))
    assert seen == [1, 2, 3, 4]


def _archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_members_of_an_archive_are_stored_and_known_again(tree: Path, spool: Spool) -> None:
    _archive(
        tree / "a.zip", {"x/1": b"DOSE 1.1 1", "../../escape": b"DOSE 1.2 1", "/etc/abs": b"DOSE 1.3 1 other", "e": b""}
    )
    before = {path for path in tree.parent.rglob("*") if spool.root not in path.parents}
    summary = scan([tree], spool, judge)
    assert (summary.archives, summary.registered) == (1, 2)
    assert summary.not_relevant == {"carries no dose": 1}
    assert [reason for _, reason in summary.unreadable] == ["empty"]
    after = {path for path in tree.parent.rglob("*") if spool.root not in path.parents}
    assert after == before  # nothing was unpacked by the archive's own names
    again = scan([tree], spool, judge)
    assert not again.changed
    assert again.duplicates == 2


def test_every_file_and_member_has_one_fate_and_the_counts_add_up(
    tree: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dose_audit.receive.scanner._MAX_LISTED", 20)
    monkeypatch.setattr(spool, "max_object_bytes", 10_000)
    (tree / "new").write_bytes(b"DOSE 1.1 1")
    (tree / "same").write_bytes(b"DOSE 1.1 1")
    (tree / "empty").touch()
    (tree / "large").write_bytes(b"DOSE 1.9 1" + bytes(spool.max_object_bytes))
    (tree / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    _archive(tree / "many.zip", {f"empty/{number}": b"" for number in range(30)})
    _archive(tree / "mixed.zip", {"1": b"DOSE 1.2 1", "2": b"DOSE 1.1 1", "3": b"DOSE 1.3 1 other", "4": b"text"})
    summary = scan([tree, tree / "nowhere"], spool, judge)
    assert (summary.files, summary.members, summary.archives, summary.apart) == (5 + 34, 34, 3, 1)
    fates = (summary.registered, summary.duplicates, summary.conflicts, sum(summary.not_relevant.values()))
    # Which of the same bytes are told at the door depends on the order in which the folder gives its entries.
    assert (summary.registered + summary.duplicates, *fates[2:]) == (4, 0, 1)
    assert sum(fates) + summary.unreadable_count - summary.apart == summary.files
    assert len(summary.unreadable) == 20 < summary.unreadable_count


def test_an_archive_within_an_archive_is_not_opened(tree: Path, spool: Spool) -> None:
    inner = _archive(tree / "inner", {"1": b"DOSE 1.1 1"})
    _archive(tree / "outer.zip", {"inner.zip": inner.read_bytes(), "2": b"DOSE 1.2 1"})
    inner.unlink()
    summary = scan([tree], spool, judge)
    assert summary.registered == 1
    assert [reason for _, reason in summary.unreadable] == ["an archive within an archive is not opened"]


def test_bombs_stop_at_their_bound(tree: Path, spool: Spool) -> None:
    blow = b"DOSE 1.9 1\n" + bytes(30 << 20)
    _archive(tree / "bomb.zip", {"bomb": blow, "good": b"DOSE 1.1 1"})
    summary = scan([tree], spool, judge)
    assert summary.registered == 1
    assert [reason for _, reason in summary.unreadable] == ["inflates more than 200-fold"]
    limits = ArchiveLimits(member_bytes=1000, members=2)
    _archive(
        tree / "bomb.zip",
        {"large": b"DOSE 1.4 1\n" + random.Random(1).randbytes(5000), "b": b"DOSE 1.5 1", "c": b"DOSE 1.6 1"},
    )
    summary = scan([tree], spool, judge, limits=limits)
    assert summary.registered == 1
    assert sorted(reason for _, reason in summary.unreadable) == [
        "inflates beyond 1000 bytes",
        "more than 2 members: the rest is not looked at",
    ]
    assert not unfinished(spool.root)  # what was begun is gone


def test_the_total_of_an_archive_is_bounded(tree: Path, spool: Spool) -> None:
    _archive(tree / "many.zip", {f"{n}": b"DOSE 1.%d 1\n" % n + random.Random(n).randbytes(4000) for n in range(10)})
    summary = scan([tree], spool, judge, limits=ArchiveLimits(total_bytes=10_000))
    assert summary.registered == 2
    assert "inflate" in summary.unreadable[-1][1]


def test_a_directory_beyond_memory_is_refused(tree: Path, spool: Spool) -> None:
    _archive(tree / "many.zip", {f"{n}": b"DOSE 1.1 1" for n in range(200)})
    summary = scan([tree], spool, judge, limits=ArchiveLimits(directory_bytes=1000))
    assert [reason for _, reason in summary.unreadable] == ["its directory is larger than 0.001 MB"]


def test_damaged_and_encrypted_members_are_lines(tree: Path, spool: Spool) -> None:
    path = _archive(tree / "a.zip", {"good": b"DOSE 1.1 1", "bad": b"DOSE 1.2 1\n" + random.Random(1).randbytes(2000)})
    data = bytearray(path.read_bytes())
    offset = zipfile.ZipFile(path).getinfo("bad").header_offset
    name, extra = struct.unpack_from("<2H", data, offset + 26)
    data[offset + 30 + name + extra + 1500] ^= 0xFF  # inside the stored bytes
    path.write_bytes(data)
    locked = _archive(tree / "locked.zip", {"secret": b"DOSE 1.3 1"})
    data = bytearray(locked.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(data)
    (tree / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    summary = scan([tree], spool, judge)
    assert summary.registered == 1
    reasons = [reason for _, reason in summary.unreadable]
    assert "encrypted" in reasons
    assert any(reason.startswith("damaged in the archive") for reason in reasons)
    assert any(reason.startswith("no readable zip archive") for reason in reasons)
