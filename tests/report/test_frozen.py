"""A frozen run's groups and rows, cut out of its columns, are those of its file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dose_audit.report.frozen import FrozenRun, FrozenRunError, Group

MAY, JUNE = datetime(2026, 5, 1, 8), datetime(2026, 6, 1, 8)


def _row(ref: str, value: float | None, time: datetime | None, **more: Any) -> dict[str, Any]:
    place = {"site": "North", "equipment": "CT 1", "examination": "ct-head", "band": "adult", "quantity": "DLP"}
    state = {"software_versions": "V1", "reason": None, "included": True}
    return {"exam_ref": ref, "value": value, "study_datetime": time} | place | state | more


def _run(folder: Path) -> FrozenRun:
    rows = [
        _row("E1", 5.0, JUNE, software_versions="V2"),
        _row("E2", 4.0, MAY),
        _row("E3", 3.0, None, software_versions=None),
        _row("E4", 2.0, MAY, band=None),
        _row("E5", 1.0, MAY, included=False, reason="UNMAPPED"),
        _row("E6", -1.0, MAY, included=False, reason="IMPLAUSIBLE_VALUE"),
        _row("E7", 9.0, None, included=False, reason="NO_STUDY_DATE"),
        _row("E8", None, MAY, included=False, reason="NO_VALUE"),
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "values.parquet", row_group_size=3)
    return FrozenRun(folder, {})


def _told(group: Group) -> tuple[Any, ...]:
    return group.values.tolist(), group.times, group.software_versions, group.reason.to_pylist()


def test_groups_in_time_order_undated_first(tmp_path: Path) -> None:
    run = _run(tmp_path)
    adult, unbanded = ("North", "CT 1", "ct-head", "adult", "DLP"), ("North", "CT 1", "ct-head", "", "DLP")
    assert {key: _told(group) for key, group in run.groups.items()} == {
        unbanded: ([2.0], [MAY], ["V1"], [None]),
        adult: ([3.0, 4.0, 5.0], [None, MAY, JUNE], [None, "V1", "V2"], [None] * 3),
    }
    assert (run.groups.count(adult), run.groups.count(("", "", "", "", ""))) == (3, 0)
    assert {key: _told(group) for key, group in run.left_out.items()} == {adult: ([1.0], [MAY], ["V1"], ["UNMAPPED"])}


def test_rows_are_read_as_often_as_wanted_and_a_missing_column_is_absent(tmp_path: Path) -> None:
    rows = _run(tmp_path).rows(["value", "weight_kg", "exam_ref"])
    for _ in range(2):
        assert list(rows)[:2] == [[5.0, None, "E1"], [4.0, None, "E2"]]
    assert len(rows) == len(list(rows)) == 8


@pytest.mark.parametrize("text", [b"[1, 2]", b"\xff\xfe", b"{", b"[" * 100_000, b"{}"])
def test_a_record_that_is_none_is_told_in_one_line(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "report.json").write_bytes(text)
    with pytest.raises(FrozenRunError, match=r"report\.json (is damaged|is not the record|lacks)") as told:
        FrozenRun.load(tmp_path)
    assert "\n" not in str(told.value)


def test_a_file_in_the_place_of_a_run_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FrozenRunError, match="is not the folder of an audit run"):
        FrozenRun.load(tmp_path / "file")


def test_values_without_a_column_or_damaged_name_their_file(tmp_path: Path) -> None:
    run = _run(tmp_path)
    with pytest.raises(FrozenRunError, match=r"values\.parquet lacks the columns wed_mm"):
        run.columns(["value", "wed_mm"])
    (tmp_path / "values.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FrozenRunError, match=r"values\.parquet is damaged"):
        run.columns(["value"])
