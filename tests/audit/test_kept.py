"""Night after night with what earlier nights kept, and the same night with nothing kept: one report, whatever happened."""

from __future__ import annotations

import json
import math
import os
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dose_audit.audit import kept_rows, steps, value_rows
from dose_audit.audit.examine import Result, examine
from dose_audit.audit.kept import FOLDER, KeptResults
from dose_audit.audit.mapping import StoredMapping
from dose_audit.audit.nightly import default_since
from dose_audit.audit.runs import json_ready
from dose_audit.audit.schedule import nightly_schedule
from dose_audit.drl import ExamMapping, MappingTable
from dose_audit.statistics.sequential import running_chart, sequential_scores

from .stored import StoredExams

PLACES = [("North", "CT 1", "Chest"), ("North", "CT 1", "CAP"), ("South", "CT 2", "Chest"), ("South", "CT 2", "CAP")]
MEDIANS = {"Chest": 260.0, "CAP": 600.0}


def _report(result: Result) -> str:
    """All that a report is drawn from, as text."""
    parts = {
        "comparisons": result.comparisons,
        "completeness": result.completeness,
        "excluded": result.excluded,
        "findings": [(f.key, f.severity, f.message, f.evidence, f.causes) for f in result.findings],
        "sections": result.sections,
        "unmapped": result.unmapped,
    }
    return json.dumps(json_ready(parts), sort_keys=True, default=str)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Nights:
    """A store that grows, audited each night with and without what earlier nights kept."""

    def __init__(self, registry, folder: Path, seed: int) -> None:
        self.registry, self.folder = registry, folder
        self.random = np.random.default_rng(seed)
        self.stored = StoredExams()
        self.own: list[dict[str, object]] = []
        self.protocols = {"Chest": "ct-chest-lung-cancer", "CAP": "ct-chest-abdomen-pelvis-cancer"}

    def add(self, first: datetime, days: float, n: int, *, factor: float = 1.0) -> None:
        """Exams of random places and doses."""
        for moment in np.sort(self.random.uniform(0.0, days, n)):
            site, scanner, protocol = PLACES[int(self.random.integers(len(PLACES)))]
            weight = float(76.0 * math.exp(0.15 * self.random.standard_normal()))
            step = 1.6 if scanner == "CT 2" and first + timedelta(days=float(moment)) >= datetime(2026, 1, 20) else 1.0
            dose = MEDIANS[protocol] * step * factor * weight / 76.0 * math.exp(0.2 * self.random.standard_normal())
            self.stored.add_ct(
                first + timedelta(days=float(moment)),
                float(dose),
                site=site,
                equipment=scanner,
                acquisition_protocol=protocol,
                weight_kg=round(weight, 1),
                pseudonym=f"{int(self.random.integers(200)):016x}",
            )

    def night(self, day: date, *, keep: bool = True) -> Result:
        """A night's result, with what was kept or without it."""
        rows = [
            ExamMapping(level="exact", acquisition_protocol=name, examination=slug, line=line)
            for line, (name, slug) in enumerate(self.protocols.items(), start=2)
        ]
        since = default_since(day)
        return examine(
            self.stored.write_blocks(self.folder, 200),
            self.registry,
            StoredMapping(MappingTable(tuple(rows)), 1, "0" * 64),
            self.registry.examinations,
            since=since,
            until=day,
            now=datetime(day.year, day.month, day.day, 2),
            schedule=nightly_schedule(since, day),
            keep=keep,
        )


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the series in which steps were searched for anew."""
    asked: list[int] = []
    search = steps._changes

    def counted(doses: np.ndarray, level: float) -> list[tuple[int, float]]:
        asked.append(doses.size)
        return search(doses, level)

    monkeypatch.setattr(steps, "_changes", counted)
    return asked


SEEDS = range(20) if os.environ.get("DOSE_AUDIT_LONG") else [7]


@pytest.mark.parametrize("seed", SEEDS)
def test_nights_with_what_was_kept_are_what_they_are_without(
    registry, tmp_path: Path, searches: list[int], seed: int
) -> None:
    """Exams come in, one is written anew, one goes, a period closes, the mapping changes, the folder is damaged."""
    nights = Nights(registry, tmp_path / "parquet", seed)
    nights.add(datetime(2025, 4, 2), 410, 560)
    first = nights.night(date(2026, 5, 20))
    assert any(finding.kind == "step_change" for finding in first.findings)
    assert first.sections["cross_site"] and first.sections["size_curves"]
    whole = len(searches)

    def the_same(day: date) -> int:
        """Searches that a night with what was kept made anew."""
        searches.clear()
        kept = nights.night(day)
        made = len(searches)
        assert _report(kept) == _report(nights.night(day, keep=False))
        return made

    nights.add(datetime(2026, 5, 20), 0.9, 25)
    assert the_same(date(2026, 5, 21)) == 0  # nothing of the closed periods is another

    nights.add(datetime(2026, 5, 21), 0.9, 20)
    north = [row for row in nights.stored.exams if row["site"] == "North"]
    north[int(nights.random.integers(50))]["ct_dlp_mgy_cm"] *= 3.0
    gone = north[int(nights.random.integers(50, 100))]
    nights.stored.exams.remove(gone)
    nights.stored.events = [event for event in nights.stored.events if event["exam_id"] != gone["exam_id"]]
    assert 0 < the_same(date(2026, 5, 22)) < whole  # the one scanner's alone

    nights.protocols["CAP"] = "ct-abdomen-pelvis-abscess"
    nights.stored.exams[-1]["software_versions"] = "2.0"
    (tmp_path / "parquet" / FOLDER / "results.json").write_bytes(b"damaged")
    (tmp_path / "parquet" / FOLDER / "grown.bin").write_bytes(b"\0" * 100)
    assert the_same(date(2026, 7, 1)) > 0


@pytest.mark.parametrize("seed", [*SEEDS, 8])
def test_whatever_arrives_the_frozen_run_is_that_of_a_night_without_anything_kept(
    registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """New exams, late ones, corrections, deletions, exams sent again under later numbers, other names, a second device of
    the same name, exams whose day has not come, another mapping; whether the kept rows are written each night or seldom."""
    monkeypatch.setattr(kept_rows, "_WRITTEN_FROM", (0.0, 0.9)[seed % 2])
    nights = Nights(registry, tmp_path / "parquet", seed)
    nights.add(datetime(2025, 6, 2), 340, 420)
    random, stored = nights.random, nights.stored
    nights.night(date(2026, 5, 10))
    day = datetime(2026, 5, 10)

    def correct() -> None:
        row = stored.exams[int(random.integers(len(stored.exams)))]
        row["ct_dlp_mgy_cm"] *= float(random.uniform(0.5, 2.0))

    def take_out() -> dict[str, object]:
        gone = stored.exams.pop(int(random.integers(len(stored.exams))))
        nights.own = [event for event in stored.events if event["exam_id"] == gone["exam_id"]]
        stored.events = [event for event in stored.events if event["exam_id"] != gone["exam_id"]]
        return gone

    def move() -> None:
        """The same exam under the latest number, as when it is taken out and sent again: it lies in another block."""
        gone = take_out()
        number = max(row["exam_id"] for row in stored.exams) + 1
        stored.exams.append(gone | {"exam_id": number})
        stored.events += [event | {"exam_id": number} for event in nights.own]

    def rename() -> None:
        row = stored.exams[int(random.integers(len(stored.exams)))]
        for other in stored.exams:
            if other["equipment_id"] == row["equipment_id"]:
                other["equipment"] = f"Unit {int(random.integers(1000))}"

    def name_alike() -> None:
        """A second device under the first one's name, or no more."""
        for other in stored.exams:
            if other["site"] == "South":
                other["equipment"] = "CT 2" if other["equipment"] != "CT 2" else f"CT {other['equipment_id'] % 7}"
                other["equipment_id"] = 10 + int(other["exam_id"]) % (1 + day.day % 2)

    def tomorrow() -> None:
        """Exams with dates to which a later night's period reaches, and some without any."""
        nights.add(day + timedelta(days=1.5), 1.0, 3)
        stored.exams[-1] |= {"study_date": None, "study_datetime": None}

    def map_anew() -> None:
        nights.protocols["CAP"] = ("ct-abdomen-pelvis-abscess", "ct-chest-abdomen-pelvis-cancer")[
            int(nights.protocols["CAP"] != "ct-abdomen-pelvis-abscess")
        ]

    changes = [
        lambda: nights.add(day - timedelta(days=float(random.uniform(30, 300))), 5.0, 4),
        lambda: nights.add(day, 0.9, 12, factor=3.0),
        correct, take_out, move, rename, map_anew, name_alike, tomorrow,
    ]  # fmt: skip
    for _ in range(3):
        day += timedelta(days=1)
        nights.add(day - timedelta(days=1), 0.9, 8)
        for change in random.choice(len(changes), 3, replace=False).tolist():
            changes[change]()
        kept = nights.night(day.date())
        anew = nights.night(day.date(), keep=False)
        assert _report(kept) == _report(anew)
        assert kept.frozen.sha256 == anew.frozen.sha256
        kept.frozen.write(tmp_path / "kept.parquet")
        anew.frozen.write(tmp_path / "anew.parquet")
        assert _contents(tmp_path / "kept.parquet") == _contents(tmp_path / "anew.parquet")
        assert pq.read_table(tmp_path / "kept.parquet").num_rows == kept.values.num_rows


def test_a_look_at_another_period_costs_the_nightly_audit_nothing(
    registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    make = value_rows._made
    monkeypatch.setattr(
        value_rows, "_made", lambda tables, *more: made.append(tables[0].num_rows) or make(tables, *more)
    )
    nights = Nights(registry, tmp_path / "parquet", 3)
    nights.add(datetime(2025, 6, 2), 340, 120)
    for day in (date(2026, 5, 10), date(2025, 11, 3), date(2026, 5, 10), date(2025, 11, 3)):
        nights.night(day)
    assert len(made) == 2
    nights.night(date(2025, 8, 1))  # a third period: the one that was looked at longest ago goes
    nights.night(date(2025, 11, 3))
    assert len(made) == 3
    kept = (tmp_path / "parquet" / "blocks").glob("period-values-*")
    assert len(list(kept)) == 2


def test_scores_go_on_where_they_were() -> None:
    """One by one, at once and from any place: the same numbers, ties among them."""
    random = np.random.default_rng(5)
    values = np.round(random.normal(size=200), 1)
    values[150:] += 1.5
    whole = running_chart(values)
    assert whole.signals
    for first in (1, 61, 120, 199):
        known = sequential_scores(values[:first])
        assert sequential_scores(values, known).tolist() == sequential_scores(values).tolist()
        again = running_chart(values, known=known)
        assert again.signals == whole.signals
        assert np.array_equal(again.scores, whole.scores, equal_nan=True)


def test_what_nobody_asks_for_any_more_is_dropped(tmp_path: Path) -> None:
    made: list[str] = []

    def ask(name: str) -> None:
        kept = KeptResults(tmp_path)
        assert kept.result("long", (name, np.arange(3)), lambda: made.append(name) or {"name": name}) == {"name": name}
        kept.write()

    ask("first")
    for _ in range(9):
        ask("second")
    ask("first")
    assert made == ["first", "second"]
    for _ in range(12):
        ask("second")
    ask("first")
    assert made == ["first", "second", "first"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
