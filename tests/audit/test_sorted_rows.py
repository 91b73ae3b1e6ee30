"""Rows put among others are where sorting all of them puts them, and a kept file that was damaged is made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dose_audit.audit.columns import Columns
from dose_audit.audit.kept_weeks import KeptWeeks
from dose_audit.audit.sorted_rows import merged, read_rows, write_rows

ORDER = ("site", "device", "at", "exam", "value")
_Row = tuple[str | None, str | None, int | None, int, float]


def _sorting(row: _Row) -> list[tuple[bool, Any]]:
    """What is not known comes last, in any column."""
    return [(True, 0) if part is None or part != part else (False, part) for part in row]


def _columns(rows: list[_Row]) -> Columns:
    """Rows in their order, as a night makes them of the copy."""
    rows = sorted(rows, key=_sorting)
    texts = {}
    for place, name in enumerate(ORDER[:2]):
        words = sorted({row[place] for row in rows}, key=lambda word: (word is not None, word or ""))
        texts[name] = (np.array([words.index(row[place]) for row in rows], dtype=np.uint8), words)
    times = np.array([np.datetime64("NaT") if row[2] is None else row[2] for row in rows], dtype="datetime64[us]")
    exams, values = np.array([row[3] for row in rows], dtype=np.int64), np.array([row[4] for row in rows])
    return Columns.of_arrays({"at": times, "exam": exams, "value": values}, texts)


def _rows(columns: Columns) -> list[_Row]:
    times = [None if np.isnat(time) else int(time.astype(np.int64)) for time in columns["at"]]
    texts = [[words[code] for code in codes] for codes, words in (columns.texts["site"], columns.texts["device"])]
    return list(zip(*texts, times, columns["exam"].tolist(), columns["value"].tolist(), strict=True))


def _drawn(random: np.random.Generator, count: int, sites: list[str | None], moments: int) -> list[_Row]:
    """Rows with many ties: `moments` different times, one in eight unknown, values of which one in five is none."""
    return [
        (
            sites[random.integers(len(sites))],
            ["B", "A", None][random.integers(3)],
            None if random.random() < 1 / 8 else int(random.integers(moments)),
            int(random.integers(1, 6)),
            float("nan") if random.random() < 1 / 5 else float(random.integers(3)),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_rows_put_among_others_are_where_sorting_all_of_them_puts_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    moments = int(random.choice([2, 10, 1000]))
    held = sorted(_drawn(random, int(random.integers(0, 60)), ["S", "N", None], moments), key=_sorting)
    more = _drawn(random, int(random.integers(0, 30)), [["N", "E"], ["S", None], ["Z"]][random.integers(3)], moments)
    stay = random.random(len(held)) < random.choice([0.0, 0.5, 1.0])
    found = merged(_columns(held), stay, _columns(more), ORDER)

    left = [row for row, stays in zip(held, stay, strict=True) if stays]
    expected = sorted([*left, *more], key=_sorting)
    assert [_sorting(row) for row in _rows(found)] == [_sorting(row) for row in expected]
    assert len(found) == len(expected)
    # Some rows of a column alone are those of the whole column.
    some = np.flatnonzero(random.random(len(expected)) < 0.4)
    assert [_sorting(row) for row in _rows(found.some(some))] == [_sorting(expected[row]) for row in some]
    # Words are those that occur, the absent one first.
    for place, name in enumerate(ORDER[:2]):
        words = found.texts[name][1]
        assert words == sorted({row[place] for row in expected}, key=lambda word: (word is not None, word or ""))


@pytest.mark.parametrize("seed", range(8))
def test_a_few_rows_put_among_many_are_where_sorting_all_of_them_puts_them(seed: int) -> None:
    """In long pieces: none taken out, the first, the last, or some from the middle."""
    random = np.random.default_rng([7, seed])
    held = sorted(_drawn(random, 3000, ["S", "N"], 400), key=_sorting)
    more = _drawn(random, int(random.integers(0, 12)), ["S", "Z"], 400)
    stay = np.ones(len(held), dtype=bool)
    stay[[slice(0), slice(200), slice(2900, None), slice(1000, 1500)][seed % 4]] = False
    found = merged(_columns(held), stay, _columns(more), ORDER)

    expected = sorted([*(row for row, stays in zip(held, stay, strict=True) if stays), *more], key=_sorting)
    some = np.flatnonzero(random.random(len(expected)) < 0.4)
    parts = found.some(some)
    assert [_sorting(row) for row in _rows(found)] == [_sorting(row) for row in expected]
    assert [_sorting(row) for row in _rows(parts)] == [_sorting(expected[row]) for row in some]


@pytest.mark.parametrize("rows", [0, 1, 400])
def test_what_was_written_is_read_and_not_after_any_byte_was_changed(tmp_path: Path, rows: int) -> None:
    random = np.random.default_rng(rows)
    columns, path = _columns(_drawn(random, rows, ["N", None], 50)), tmp_path / "rows.arrow"
    write_rows(path, columns, {"blocks": {"1": "a"}})
    found = read_rows(path)
    assert found is not None
    assert [_sorting(row) for row in _rows(found[0])] == [_sorting(row) for row in _rows(columns)]
    assert found[1] == {"blocks": {"1": "a"}}
    whole = path.read_bytes()
    del found
    for place in random.integers(0, len(whole), 40).tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        assert read_rows(path) is None, f"byte {place} of {len(whole)} was changed"
    for length in random.integers(0, len(whole), 10).tolist():
        path.write_bytes(whole[:length])
        assert read_rows(path) is None, f"cut to {length} of {len(whole)} bytes"


def test_a_week_that_was_damaged_or_dropped_is_not_copied(tmp_path: Path) -> None:
    written, found, folder = tmp_path / "week.parquet", tmp_path / "found.parquet", tmp_path / "weeks"
    written.write_bytes(b"a week's values")
    KeptWeeks(folder).keep("week", "hash of the values", written)  # of a night that ended before it told what it kept
    assert not KeptWeeks(folder).copy("week", found)
    kept = KeptWeeks(folder)
    kept.keep("week", "hash of the values", written)
    kept.write()

    next_night = KeptWeeks(folder)
    assert next_night.sha256("week") == "hash of the values"
    assert next_night.copy("week", found)
    assert found.read_bytes() == written.read_bytes()
    assert not next_night.copy("another week", found)
    [file] = folder.glob("*.parquet")
    file.write_bytes(b"b week's values")
    assert not next_night.copy("week", tmp_path / "damaged.parquet")
    file.unlink()
    assert not next_night.copy("week", tmp_path / "dropped.parquet")
    assert not list(tmp_path.glob("d*.parquet"))
