"""Nightly audit of many stored exams: seconds and peak memory by step, beside a bare DuckDB quantile query over the
same Parquet.

Both run in this one process, so that their ratio means something on any machine::

    python -m bench.bench_audit --exams 100000 --json

A store of ten million exams takes a while to make and a gigabyte. It is kept where it is told to, and a further run costs the
audit alone::

    python -m bench.bench_audit --exams 10000000 --whole --folder ~/bench
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dose_audit.store.columns_layout import LAYOUT, TABLES, arrow_schema
from dose_audit.store.columns_manifest import (
    CopiedFile,
    Manifest,
    file_sha256,
    parquet_files,
    read_manifest,
    write_manifest,
)
from dose_audit.store.parquet import BLOCK_ROWS

SITES, DEVICES, PROTOCOLS = 12, 8, 10
NIGHT = 5_000
"""Exams of one day."""
LAST = np.datetime64("2026-06-30T20:00:00", "us")
UNTIL = datetime(2026, 7, 1, 2, 0)
SINCE = date(2025, 7, 1)  # where a nightly run of that night begins

# Adult CT rows of the UK edition, each with a median (DLP) below its level.
EXAMINATIONS = (
    ("ct-head-acute-stroke", 560.0, "head_16cm"),
    ("ct-chest-lung-cancer", 190.0, "body_32cm"),
    ("ct-chest-abdomen-pelvis-cancer", 470.0, "body_32cm"),
    ("ct-abdomen-pelvis-abscess", 320.0, "body_32cm"),
    ("ct-pulmonary-angiography", 200.0, "body_32cm"),
    ("ct-kidneys-ureters-bladder", 190.0, "body_32cm"),
)


def write_store(folder: Path, exams: int, seed: int = 1) -> None:
    """Write a synthetic store of CT exams with two events each, block by block as the store's own refresh lays it out.

    The exams come at `NIGHT` a day up to the night of the audit, so that ten million reach back five and a half years.
    """
    manifest = Manifest(LAYOUT, BLOCK_ROWS, {name: {} for name in TABLES}, {})
    for block in range(-(-exams // BLOCK_ROWS)):
        first, last = block * BLOCK_ROWS + 1, min((block + 1) * BLOCK_ROWS, exams)
        write_block(folder, manifest, block, first, last, exams, seed)
    write_manifest(folder, manifest)


def write_block(folder: Path, manifest: Manifest, block: int, first: int, last: int, exams: int, seed: int = 1) -> None:
    """Write the exams from `first` to `last` of a store whose exam number `exams` is the last before the audit."""
    random = np.random.default_rng([seed, block])
    number = np.arange(first, last + 1)
    n = number.size
    device = random.integers(0, SITES * DEVICES, n)
    kind = random.integers(0, len(EXAMINATIONS), n)
    protocol = random.integers(0, PROTOCOLS, n)
    weight = 76.0 * np.exp(0.18 * random.standard_normal(n))
    median = np.array([row[1] for row in EXAMINATIONS])[kind]
    dlp = median * (weight / 76.0) ** 0.9 * np.exp(0.25 * np.clip(random.standard_normal(n), -2.5, 2.5))
    when = LAST - ((exams - number) * 86_400 // NIGHT).astype("timedelta64[s]").astype("timedelta64[us]")
    names = np.array([f"{row[0]} v{p}" for row in EXAMINATIONS for p in range(PROTOCOLS)])
    protocols = names[kind * PROTOCOLS + protocol]
    exam_columns = {
        "exam_id": number,
        "study_datetime": when,
        "study_date": when.astype("datetime64[D]"),
        "site": np.array([f"Site {d // DEVICES:02d}" for d in range(SITES * DEVICES)])[device],
        "equipment_id": device,
        "equipment": np.array([f"Scanner {d:03d}" for d in range(SITES * DEVICES)])[device],
        "station_name": np.array([f"CT{d:03d}" for d in range(SITES * DEVICES)])[device],
        "software_versions": np.full(n, "V1"),
        "modality": np.full(n, "CT"),
        "acquisition_protocols": [[name] for name in protocols.tolist()],
        "pseudonym": [f"{patient:016x}" for patient in random.integers(0, max(1, exams // 2), n).tolist()],
        "age_years": random.uniform(18, 90, n).round(1),
        "weight_kg": weight.round(1),
        "is_phantom": np.zeros(n, dtype=bool),
        "ct_dlp_mgy_cm": dlp,
        "events_ct_dlp_mgy_cm": dlp,
        "event_count": np.full(n, 2),
        "received_at": when,
    }
    spiral = np.tile([False, True], n)
    event_columns = {
        "exam_id": np.repeat(number, 2),
        "event_index": np.tile([1, 2], n),
        "type": np.full(2 * n, "ct"),
        "acquisition_protocol": np.repeat(protocols, 2),
        "ct_acquisition_type": np.where(spiral, "spiral", "constant_angle"),
        "ctdi_vol_mgy": np.where(spiral, np.repeat(dlp, 2) / 40.0, 0.1),
        "ctdi_phantom": np.repeat(np.array([row[2] for row in EXAMINATIONS])[kind], 2),
        "dlp_mgy_cm": np.where(spiral, np.repeat(dlp, 2), np.nan),
        "water_equivalent_diameter_mm": np.where(spiral, np.repeat(290.0 * (weight / 76.0) ** 0.4, 2), np.nan),
    }
    object_columns = {
        "object_id": number,
        "received_at": when,
        "site": exam_columns["site"],
        "station_name": exam_columns["station_name"],
        "state": np.full(n, "extracted"),
    }
    for name, columns in (("exams", exam_columns), ("events", event_columns), ("objects", object_columns)):
        path = folder / f"{name}.parquet" / f"{block:06d}-{last}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = _table(name, columns)
        pq.write_table(table, path, compression="zstd", compression_level=1)
        file = CopiedFile(f"{path.parent.name}/{path.name}", table.num_rows, table.num_rows, file_sha256(path))
        manifest.files[name][str(block)] = file


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    """The given columns with all the others that the store has: lists empty, the rest absent."""
    schema = arrow_schema(TABLES[name].columns)
    rows = len(next(iter(columns.values())))
    arrays = []
    for field in schema:
        if field.name in columns:
            arrays.append(pa.array(columns[field.name], field.type, from_pandas=True))
        elif pa.types.is_list(field.type):
            arrays.append(pa.ListArray.from_arrays(pa.array(np.zeros(rows + 1), pa.int32()), pa.array([], pa.string())))
        else:
            arrays.append(pa.nulls(rows, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def bare_query(folder: Path) -> float:
    """Processor seconds of the plainest query for the quartiles of all groups: nothing mapped, banded or checked."""
    import duckdb

    files = [str(file) for file in parquet_files(folder, "exams")]
    start = time.process_time()
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET enable_progress_bar = false")
    connection.execute(
        "SELECT site, equipment, acquisition_protocols[1] AS p, count(*), "
        "quantile_cont(ct_dlp_mgy_cm, [0.25, 0.5, 0.75]) "
        f"FROM read_parquet({files}) GROUP BY ALL"
    ).fetchall()
    return time.process_time() - start


def our_query(folder: Path) -> float:
    """Processor seconds of the same groups with median, interval and quartiles of type 8, formed as the audit does."""
    from dose_audit.audit.columns import Columns
    from dose_audit.audit.engine import open_engine
    from dose_audit.statistics import SortedGroups

    start = time.process_time()
    with open_engine(folder) as engine:
        exams = engine.exams
        rows = exams.select("site", "equipment", p=exams.acquisition_protocols[0], value=exams.ct_dlp_mgy_cm)
        columns = Columns(engine.to_arrow(rows.filter(rows.value.notnull())))
    groups = [rows for _, rows in columns.groups(("site", "equipment", "p"))]
    SortedGroups(columns["value"][np.concatenate(groups)], [rows.size for rows in groups]).figures()
    return time.process_time() - start


def values(folder: Path, since: date) -> float:
    """Seconds until the values of the period are there, made or read back."""
    from dose_audit.audit.block_tables import period_rows
    from dose_audit.audit.cohort import value_rows
    from dose_audit.audit.engine import open_engine
    from dose_audit.audit.kept import FOLDER, KeptResults

    start = time.perf_counter()
    kept = KeptResults(folder / FOLDER)
    with open_engine(folder, kept=kept) as engine:
        period_rows(engine, "benchmark", value_rows, since, UNTIL.date())
    kept.write()
    return time.perf_counter() - start


def audit(folder: Path) -> dict[str, Any]:
    """The whole audit until its values are frozen: seconds, and by step seconds, processor seconds and peak memory."""
    from dose_audit.audit.examine import examine
    from dose_audit.audit.mapping import StoredMapping
    from dose_audit.audit.schedule import nightly_schedule
    from dose_audit.drl import ExamMapping, MappingTable, load_sets

    rows = [
        ExamMapping(level="exact", acquisition_protocol=f"{slug} v{p}", examination=slug, line=2 + i * PROTOCOLS + p)
        for i, (slug, _, _) in enumerate(EXAMINATIONS)
        for p in range(PROTOCOLS)
    ]
    mapping = StoredMapping(MappingTable(tuple(rows)), 1, "")
    registry = load_sets(include=("uk-adult-ct",))
    steps = _Steps()
    result = examine(
        folder,
        registry,
        mapping,
        registry.examinations,
        since=SINCE,
        until=UNTIL.date(),
        now=UNTIL,
        schedule=nightly_schedule(SINCE, UNTIL.date()),
        progress=lambda step, _fraction: steps.begin("freezing the values" if step == "done" else step),
    )
    result.frozen.write(folder / "frozen-values.parquet")
    steps.begin("")
    return {
        "exams_in_period": result.completeness["in_period"],
        "values": len(result.looked_at.columns),
        "groups": len(result.comparisons),
        "findings": len(result.findings),
        "audit_s": round(sum(step["s"] for step in steps.found.values()), 1),
        "audit_processor_s": round(sum(step["processor_s"] for step in steps.found.values()), 1),
        "audit_peak_mb": max(step["peak_mb"] for step in steps.found.values()),
        "steps": steps.found,
    }


class _Steps:
    """What each step took, by name; the peak is that of the process within the step."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self._last: tuple[str, float, float] | None = None

    def begin(self, name: str) -> None:
        """End the step before."""
        now = time.perf_counter(), time.process_time()
        if self._last is not None:
            former, wall, processor = self._last
            entry = {"s": round(now[0] - wall, 1), "processor_s": round(now[1] - processor, 1), "peak_mb": _peak_mb()}
            self.found[former] = entry
            print(f"{former:>28}  {entry}", file=sys.stderr, flush=True)
        # From here on Linux tells the highest since now.
        Path("/proc/self/clear_refs").write_text("5")
        self._last = (name, *now)


def measure(folder: Path, exams: int, *, queries: bool, whole: bool) -> dict[str, Any]:
    """The figures for a store of so many exams, which is made where the folder has none."""
    if read_manifest(folder) is None:
        write_store(folder, exams)
    import ibis  # noqa: F401
    import scipy.stats  # noqa: F401  (start-up time is its own benchmark)

    figures: dict[str, Any] = {"exams": exams, "memory_before_mb": _peak_mb()}
    if queries:
        our_query(folder)
        pairs = [(bare_query(folder), our_query(folder)) for _ in range(5)]  # in turns: both meet the same machine
        bare, ours = (min(part) for part in zip(*pairs, strict=True))
        figures |= {
            "bare_duckdb_quantiles_processor_s": round(bare, 3),
            "group_statistics_processor_s": round(ours, 3),
            "group_statistics_ratio": round(ours / bare, 2),
            "values_first_time_s": round(values(folder, SINCE), 2),
            "values_unchanged_s": round(values(folder, SINCE), 2),
            "peak_memory_mb_of_the_above": _peak_mb(),
        }
    return figures | (audit(folder) if whole else {})


def _peak_mb() -> int:
    """Highest resident memory of this process in MB of a million bytes, DuckDB's with it."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return round(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exams", type=int, default=100_000)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--no-audit", action="store_true", help="leave out the whole audit")
    what.add_argument("--whole", action="store_true", help="the whole audit alone")
    parser.add_argument(
        "--folder", type=Path, help="keep the store here, and use it again; else it is made for this run"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dose-audit-bench-") as name:
        folder = Path(name) if arguments.folder is None else arguments.folder / f"store-{arguments.exams}"
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(folder, arguments.exams, queries=not arguments.whole, whole=not arguments.no_audit)
    if arguments.json:
        print(json.dumps(figures))
        return
    for key, value in figures.items():
        print(f"{key:>28}  {value}")


if __name__ == "__main__":
    main()
