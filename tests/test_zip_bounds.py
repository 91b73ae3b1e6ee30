"""An archive's directory is bounded by what any of its records announces, wherever a reader would look for it."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from dose_audit.zip_bounds import ArchiveLimits, directory_problem

LIMITS = ArchiveLimits()
HUGE = 1 << 40


def with_64(path: Path, size: int, *, gap: int = 0, plain: int = 0xFFFFFFFF) -> Path:
    """An archive whose directory's size stands in a record of 64 bits, `gap` bytes in front of its locator."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 100, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, plain, 0, 0)
    path.write_bytes(bytes(100) + record + bytes(gap) + locator + end)
    return path


def test_an_ordinary_archive_has_no_problem(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("one", b"1")
        archive.comment = b"PK but no record"
    assert directory_problem(tmp_path / "one.zip", LIMITS) == ""
    assert directory_problem(tmp_path / "one.zip", ArchiveLimits(directory_bytes=10)) == (
        "its directory is larger than 1e-05 MB"
    )


@pytest.mark.parametrize("gap", [0, 30])
@pytest.mark.parametrize("plain", [0xFFFFFFFF, 46])
def test_a_size_of_64_bits_counts_wherever_it_stands(tmp_path: Path, gap: int, plain: int) -> None:
    assert directory_problem(with_64(tmp_path / "a.zip", HUGE, gap=gap, plain=plain), LIMITS)
    assert directory_problem(with_64(tmp_path / "b.zip", 46, gap=gap, plain=plain), LIMITS) == ""


def test_a_size_that_no_record_gives_is_too_large(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 0xFFFFFFFF, 0, 0)
    (tmp_path / "a.zip").write_bytes(bytes(100) + end)
    assert "larger than 12 MB" in directory_problem(tmp_path / "a.zip", LIMITS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"PK\x05\x06", bytes(70_000)])
def test_without_a_directory_there_is_nothing_to_open(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert "directory is missing" in directory_problem(tmp_path / "a.zip", LIMITS)
