"""Zip archives: read as the folder that they were made of, and bounded whatever they claim."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from dose_audit.extract import as_record, read_exams
from dose_audit.extract.archives import ArchiveLimits, Member, members
from tests.extract.made import DX, image, uid_of


def film(number: int) -> bytes:
    return image(
        DX,
        Modality="DX",
        KVP="80",
        ImageAndFluoroscopyAreaDoseProduct=str(number + 1),
        AcquisitionDate="20240311",
        AcquisitionTime=f"10{number:02}00",
        StudyInstanceUID=uid_of("study", number // 3),
        SOPInstanceUID=uid_of("film", number),
    )


FILMS = {f"folder/{number}.dcm": film(number) for number in range(7)}


def packed(path: Path, contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def read(*paths: Path) -> tuple[list[str], list[tuple[str, str, str]]]:
    refused: list[tuple[str, str, str]] = []
    exams = [json.dumps(as_record(exam)) for exam in read_exams(paths, on_refused=lambda *why: refused.append(why))]
    return exams, refused


def test_an_archive_gives_what_its_folder_gives(tmp_path: Path) -> None:
    for name, data in FILMS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    from_folder, _ = read(tmp_path / "folder")
    assert len(from_folder) == 3
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        assert read(packed(tmp_path / f"{method}.zip", FILMS, method)) == (from_folder, [])
    # Half of a study in an archive, half beside it, in a folder that holds the archive.
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "0.dcm").write_bytes(film(0))
    packed(mixed / "rest.zip", {name: data for name, data in FILMS.items() if name != "folder/0.dcm"})
    assert read(mixed) == (from_folder, [])


def test_what_is_no_object_in_an_archive_is_one_line_each(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", {"film": film(0)}).read_bytes()
    path = packed(
        tmp_path / "a.zip", {"notes": b"hello", "inner.zip": inner, "empty": b"", **FILMS, "cut": film(1)[:300]}
    )
    exams, refused = read(path)
    assert len(exams) == 3
    assert [(place, kind) for place, _, kind in refused] == [
        (f"{path}!{name}", "unreadable") for name in ("notes", "inner.zip", "empty", "cut")
    ]
    assert all(reason and "\n" not in reason for _, reason, _ in refused)


def changed(path: Path, where: bytes, offset: int, value: int, size: int = 4) -> Path:
    """Write a number behind the last record of a kind."""
    data = bytearray(path.read_bytes())
    at = data.rindex(where) + offset
    data[at : at + size] = value.to_bytes(size, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offset", "value", "size", "reason"),
    [
        (8, 1, 2, "encrypted"),
        (10, 12, 2, "packed in a way that is not read here"),
        (24, 3_000_000_000, 4, "inflates beyond 2000 MB"),
        (24, 1_000_000_000, 4, "inflates more than 200-fold"),
        (42, 5, 4, "not where the archive says"),
    ],
)
def test_an_entry_that_lies_is_refused_and_the_rest_is_read(
    tmp_path: Path, offset: int, value: int, size: int, reason: str
) -> None:
    path = changed(packed(tmp_path / "a.zip", FILMS), b"PK\x01\x02", offset, value, size)
    exams, refused = read(path)
    assert len(exams) == 2  # the third study's only film is the last entry
    assert refused == [(f"{path}!folder/6.dcm", reason, "unreadable")]


def test_a_member_gives_no_more_than_its_entry_says(tmp_path: Path) -> None:
    path = changed(packed(tmp_path / "a.zip", {"zeros": bytes(50_000_000)}), b"PK\x01\x02", 24, 5000)
    (member,) = members(str(path))
    assert isinstance(member, Member)
    tracemalloc.start()
    opened = member.open()
    data = opened.read(1 << 30)
    opened.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data == bytes(5000)
    assert peak < 2_000_000


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_cut_archive_is_one_line(tmp_path: Path, cut: float) -> None:
    whole = packed(tmp_path / "a.zip", FILMS).read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[: int(len(whole) * cut)])
    assert read(path) == ([], [(str(path), "no readable zip archive (its directory is missing)", "unreadable")])


def test_damaged_bytes_cost_their_member_only(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", FILMS)
    data = bytearray(path.read_bytes())
    start = data.rindex(b"PK\x03\x04") + 50
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    exams, refused = read(path)
    assert len(exams) == 2
    assert [place for place, _, _ in refused] == [f"{path}!folder/6.dcm"]


@pytest.mark.parametrize(
    ("limits", "read_before", "reason"),
    [
        (ArchiveLimits(members=2), 2, "more than 2 members: the rest is not looked at"),
        (ArchiveLimits(total_bytes=2 * len(film(0)) + 9), 2, "inflates beyond 0 MB: the rest is not looked at"),
        (ArchiveLimits(directory_bytes=100), 0, "its directory is larger than 0.0001 MB"),
    ],
)
def test_bounds_end_an_archive_with_one_line(
    tmp_path: Path, limits: ArchiveLimits, read_before: int, reason: str
) -> None:
    *found, last = members(str(packed(tmp_path / "a.zip", FILMS)), limits)
    assert len(found) == read_before
    assert not isinstance(last, Member)
    assert str(last[1]) == reason


def test_a_directory_of_64_bits_is_bounded_too(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", FILMS).read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    far = b"PK\x06\x06" + (44).to_bytes(8, "little") + bytes(28) + (1 << 33).to_bytes(8, "little") + bytes(8)
    locator = b"PK\x06\x07" + bytes(4) + end.to_bytes(8, "little") + bytes(4)
    path = tmp_path / "far.zip"
    path.write_bytes(whole[:end] + far + locator + whole[end:])
    _, refused = read(path)
    assert refused == [(str(path), "its directory is larger than 12 MB", "unreadable")]
