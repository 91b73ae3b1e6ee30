"""Groups of rows are those that plain Python finds; a table's hash is that of its contents."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dose_audit.audit.columns import Columns
from dose_audit.audit.freeze import table_sha256
from dose_audit.audit.numbering import Texts


@pytest.mark.parametrize(
    ("rows", "words"),
    [(1, (2, 2)), (500, (3, 40, 7)), (3000, (3000, 2500, 2000)), (200, (200, 200, 200, 200, 200)), (2000, (9, 90000))],
)
@pytest.mark.parametrize("masked", [False, True])
def test_groups_are_those_of_plain_python(rows: int, words: tuple[int, ...], masked: bool) -> None:
    """With few combinations, with more than sixteen bits hold, and with more than 32 bits do."""
    random = np.random.default_rng(rows)
    names = [f"k{place}" for place in range(len(words))]
    texts = [[f"w{n}" if n else None for n in random.integers(0, many, rows)] for many in words]
    columns = Columns(pa.table(dict(zip(names, texts, strict=True))))
    mask = random.random(rows) < 0.5 if masked else None
    within = random.integers(0, 5, rows)
    expected: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in range(rows):
        if mask is None or mask[row]:
            key = tuple((text[row] is not None, text[row] or "") for text in texts)
            expected[(*key, int(within[row]))].append(row)
    found = [(key, members.tolist()) for key, members in columns.groups(names, mask, within=within)]
    assert found == [
        (tuple(word if known else None for known, word in key[:-1]), members)
        for key, members in sorted(expected.items())
    ]


@pytest.mark.parametrize("shuffled", ["no rows", "runs", "the last column", "a few rows"])
@pytest.mark.parametrize("masked", [False, True])
def test_groups_of_rows_in_long_runs_are_those_of_plain_python(shuffled: str, masked: bool) -> None:
    """Sorted by the columns already, sorted by others, by all but the last, and but for a few rows."""
    random = np.random.default_rng(12)
    run = np.repeat(np.arange(40), random.integers(20, 90, 40))
    if shuffled == "runs":
        run = random.permutation(40)[run]
    elif shuffled == "a few rows":
        run[random.integers(0, run.size, 30)] = 7
    first, second = run // 10, run % 10 // 4
    within = random.integers(0, 3, run.size) if shuffled == "the last column" else run % 4
    names = [None if n == 3 else f"w{n}" for n in range(4)]
    texts = [[names[n] for n in column] for column in (first, second)]
    columns = Columns(pa.table({"a": texts[0], "b": texts[1]}))
    mask = (random.random(run.size) < 0.5) & (first != 1) if masked else None
    expected: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in range(run.size):
        if mask is None or mask[row]:
            expected[(*((text[row] is not None, text[row] or "") for text in texts), int(within[row]))].append(row)
    found = [(key, members.tolist()) for key, members in columns.groups(["a", "b"], mask, within=within)]
    assert found == [
        (tuple(word if known else None for known, word in key[:-1]), members)
        for key, members in sorted(expected.items())
    ]


@pytest.mark.parametrize("disorder", [0, 3, 200])
def test_rows_are_sorted_as_plain_python_does(disorder: int) -> None:
    """In order already, here and there not, and not at all; moments and numbers that are not known come last."""
    random = np.random.default_rng(disorder)
    n = 600
    day, number = np.arange(n) // 3, np.arange(n)
    for place in random.integers(0, n, disorder):
        day[place], number[place] = random.integers(0, 50, 2)
    words = [f"w{word}" if word else None for word in random.integers(0, 5, n)]
    times = [datetime(2026, 1, 1) + timedelta(days=int(d)) if d % 40 else None for d in day]
    doses = [float(d) if d % 7 else None for d in number]
    table = pa.table({"word": words, "time": times, "dose": doses, "place": np.arange(n)})
    found = Columns(table).sorted(("word", "time", "dose")).table["place"].to_pylist()
    late = datetime.max
    expected = sorted(
        range(n),
        key=lambda row: (
            words[row] is None, words[row] or "", times[row] or late, doses[row] is None, doses[row] or 0.0
        ),
    )  # fmt: skip
    assert found == expected


def test_encoded_texts_are_used_like_an_array_of_objects() -> None:
    words = ["b", None, "a", "b"]
    plain = np.array(words, dtype=object)
    column = Columns(pa.table({"x": pa.array(words).dictionary_encode()}))["x"]
    rows = np.array([3, 1])
    assert (column[0], column[rows].tolist(), column.tolist()) == ("b", plain[rows].tolist(), words)
    for other in ("b", None, "absent"):
        assert (column == other).tolist() == (plain == other).tolist()
        assert (column != other).tolist() == (plain != other).tolist()
    assert (np.asarray(column).tolist(), column.astype(str).tolist()) == (words, plain.astype(str).tolist())


def test_the_hash_does_not_tell_how_texts_are_held() -> None:
    words = ["b", None, "a", "b", ""]
    plain = pa.table({"x": pa.array(words)})
    # Another order, and a text that does not occur.
    encoded = pa.DictionaryArray.from_arrays(pa.array([2, None, 1, 2, 3], pa.int8()), pa.array(["z", "a", "b", ""]))
    assert table_sha256(pa.table({"x": encoded})) == table_sha256(plain)
    chunks = pa.chunked_array([pa.array(words[:2]), pa.array(words[2:])])
    assert table_sha256(pa.table({"x": chunks})) == table_sha256(plain)
    assert table_sha256(pa.table({"x": pa.array(["b", "", "a", "b", ""])})) != table_sha256(plain)


@pytest.mark.parametrize("words", [["a"], ["", "a", "b", None], [None, "a"], []])
def test_encoded_texts_are_compared_as_texts_are(words: list[str | None]) -> None:
    """One word, several, all and none, against an array of objects."""
    random = np.random.default_rng(4)
    codes = random.integers(0, max(1, len(words)), 50 if words else 0).astype(np.int8)
    texts, plain = Texts(codes, words), np.array([words[code] for code in codes] + [None], dtype=object)[:-1]
    for other in ("a", "", "b", None, "nowhere"):
        assert (texts == other).tolist() == [text == other for text in plain]
        assert (texts != other).tolist() == [text != other for text in plain]
    for some in ([], ["a"], ["a", "b"], ["", "a", "b", None]):
        assert texts.isin(some).tolist() == [text in some for text in plain]
