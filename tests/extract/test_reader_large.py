"""Very large reports: the same exam from a tree that is read in parts, in memory that grows with the exam alone."""

from __future__ import annotations

import tracemalloc

import pytest

from dose_audit.extract import Exam, ReadError, as_record
from dose_audit.extract.content import Item, LateItem
from dose_audit.extract.errors import Malformed
from dose_audit.extract.reader import Limits, read_object
from dose_audit.extract.sr import read_sr
from tests.extract.objects import SYNTAXES, encode
from tests.extract.objects import report as any_report
from tests.extract.sr_objects import PROJECTION, coded, container, num, report, text, uid

IN_PARTS = Limits(whole_tree_bytes=0)


def events(count: int, padding: int = 0) -> bytes:
    filler = [text("121106", "x" * 60) for _ in range(padding)]
    return report(
        PROJECTION,
        container("113702", coded("113764", "113622"), num("113722", f"{count}e-5", "Gy.m2")),
        *(container("113706", uid("113769", f"1.2.{n}"), num("122130", 1e-5, "Gy.m2"), *filler) for n in range(count)),
    )


def shape(item: Item) -> tuple[object, ...]:
    return (item.position, item.concept, item.text, item.numbers, item.code, *map(shape, item.children))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_a_tree_in_parts_is_the_whole_tree(syntax: str, undefined: bool) -> None:
    data = encode(any_report(), syntax, undefined=undefined)
    whole, parts = read_object(data).content, read_object(data, limits=IN_PARTS).content
    assert whole is not None and parts is not None
    assert all(isinstance(item, LateItem) for item in parts.children)
    assert shape(parts) == shape(whole)


def test_its_exam_is_the_same() -> None:
    data = events(5)
    whole, parts = read_sr(read_object(data)), read_sr(read_object(data, limits=IN_PARTS))
    assert isinstance(whole, Exam) and len(whole.events) == 5
    assert as_record(parts) == as_record(whole)


def test_memory_is_that_of_one_event() -> None:
    data = events(40, padding=25)

    def peak(limits: Limits) -> int:
        read_sr(read_object(data, limits=limits))  # what is kept for all objects is there now
        tracemalloc.start()
        read_sr(read_object(data, limits=limits))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(IN_PARTS) < peak(Limits()) / 3


def test_a_part_that_is_broken_is_refused_when_it_is_read() -> None:
    data = events(3)
    at = data.rindex(b"\x40\x00\x24\xa1UI")  # in the last event, its UID
    broken = data[:at] + b"\x40\x00\x24\xa1??" + data[at + 6 :]
    with pytest.raises(Malformed, match="breaks the encoding rules"):
        read_sr(read_object(broken, limits=IN_PARTS))


def test_more_events_than_any_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dose_audit.extract.fields.MAX_ENTRIES", 4)
    assert isinstance(read_sr(read_object(events(4))), Exam)
    with pytest.raises(ReadError, match="more than 4 events"):
        read_sr(read_object(events(5)))
