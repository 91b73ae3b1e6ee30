"""Nightly audit of many stored exams: seconds and peak memory, beside a bare DuckDB quantile query over the
same Parquet.

Both run in this one process, so that their ratio means something on any machine::

    python bench/bench_audit.py --exams 100000 --json
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SITES, DEVICES, PROTOCOLS = 12, 8, 10
START = np.datetime64("2025-07-01T08:00:00", "us")
UNTIL = datetime(2026, 7, 1, 2, 0)

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
    """Write a synthetic store of CT exams with two events each, as the store's own refresh lays it out."""
    random = np.random.default_rng(seed)
    number = np.arange(1, exams + 1)
    device = random.integers(0, SITES * DEVICES, exams)
    kind = random.integers(0, len(EXAMINATIONS), exams)
    protocol = random.integers(0, PROTOCOLS, exams)
    weight = 76.0 * np.exp(0.18 * random.standard_normal(exams))
    median = np.array([row[1] for row in EXAMINATIONS])[kind]
    dlp = median * (weight / 76.0) ** 0.9 * np.exp(0.25 * np.clip(random.standard_normal(exams), -2.5, 2.5))
    when = START + random.integers(0, 364 * 86_400, exams).astype("timedelta64[s]").astype("timedelta64[us]")
    protocols = [f"{EXAMINATIONS[k][0]} v{p}" for k, p in zip(kind, protocol, strict=True)]
    phantom = np.array([row[2] for row in EXAMINATIONS])[kind]
    texts = pa.list_(pa.string())
    empty = pa.array([[]] * exams, texts)
    blank = pa.nulls(exams, pa.float64())
    folder.mkdir(parents=True, exist_ok=True)
    text = pa.nulls(exams, pa.string())
    columns = {
        "exam_id": pa.array(number),
        "study_datetime": pa.array(when),
        "study_date": pa.array(when.astype("datetime64[D]")),
        "site": pa.array([f"Site {d // DEVICES:02d}" for d in device]),
        "equipment_id": pa.array(device),
        "equipment": pa.array([f"Scanner {d:03d}" for d in device]),
        "station_name": pa.array([f"CT{d:03d}" for d in device]),
        "software_versions": pa.array(["V1"] * exams),
        "modality": pa.array(["CT"] * exams),
        "procedure_codes": empty,
        "requested_procedure_codes": empty,
        "acquisition_protocols": pa.array([[p] for p in protocols], texts),
        "target_regions": empty,
        "age_years": pa.array(random.uniform(18, 90, exams).round(1)),
        "weight_kg": pa.array(weight.round(1)),
        "is_phantom": pa.array(np.zeros(exams, dtype=bool)),
        "ct_dlp_mgy_cm": pa.array(dlp),
        "events_ct_dlp_mgy_cm": pa.array(dlp),
        "warning_codes": empty,
        "received_at": pa.array(when),
    }
    for name in ("manufacturer", "model_name", "study_description", "requested_procedure_description"):
        columns[name] = text
    for name in ("ct_dlp_head_16cm_mgy_cm", "ct_dlp_body_32cm_mgy_cm", "kap_gy_cm2", "events_kap_gy_cm2",
                 "dose_rp_mgy", "fluoro_time_s", "administered_activity_mbq"):  # fmt: skip
        columns[name] = blank
    pq.write_table(pa.table(columns), folder / "exams.parquet", compression="zstd")

    twice = np.repeat(number, 2)
    spiral = np.tile([False, True], exams)
    blank = pa.nulls(2 * exams, pa.float64())
    text = pa.nulls(2 * exams, pa.string())
    events = {
        "exam_id": pa.array(twice),
        "event_index": pa.array(np.tile([1, 2], exams)),
        "type": pa.array(["ct"] * (2 * exams)),
        "acquisition_protocol": pa.array(np.repeat(protocols, 2)),
        "ct_acquisition_type": pa.array(np.where(spiral, "spiral", "constant_angle")),
        "ctdi_vol_mgy": pa.array(np.where(spiral, np.repeat(dlp, 2) / 40.0, 0.1)),
        "ctdi_phantom": pa.array(np.repeat(phantom, 2)),
        "dlp_mgy_cm": pa.array(np.where(spiral, np.repeat(dlp, 2), np.nan), from_pandas=True),
        "reason": text,
        "view": text,
    }
    for name in ("kap_gy_cm2", "agd_mgy", "compression_thickness_mm", "water_equivalent_diameter_mm"):
        events[name] = blank
    pq.write_table(pa.table(events), folder / "events.parquet", compression="zstd")
    objects = {
        "object_id": pa.array(number),
        "received_at": pa.array(when),
        "site": columns["site"],
        "station_name": columns["station_name"],
        "state": pa.array(["extracted"] * exams),
        "reason": pa.nulls(exams, pa.string()),
    }
    pq.write_table(pa.table(objects), folder / "objects.parquet", compression="zstd")


def bare_query(folder: Path) -> float:
    """Seconds of the plainest query that could give the groups' quartiles: nothing mapped, banded or
    checked.
    """
    import duckdb

    start = time.perf_counter()
    connection = duckdb.connect(config={"threads": 2})
    connection.execute(
        "SELECT site, equipment, acquisition_protocols[1] AS p, count(*), "
        "quantile_cont(ct_dlp_mgy_cm, [0.25, 0.5, 0.75]) "
        f"FROM read_parquet('{folder / 'exams.parquet'}') GROUP BY ALL"
    ).fetchall()
    return time.perf_counter() - start


def audit(folder: Path) -> tuple[float, dict[str, float], int, int]:
    """Seconds of the whole audit, seconds of each step, groups and findings."""
    from dose_audit.audit.examine import examine
    from dose_audit.audit.mapping import StoredMapping
    from dose_audit.drl import ExamMapping, MappingTable, load_sets

    rows = [
        ExamMapping(level="exact", acquisition_protocol=f"{slug} v{p}", examination=slug, line=2 + i * PROTOCOLS + p)
        for i, (slug, _, _) in enumerate(EXAMINATIONS)
        for p in range(PROTOCOLS)
    ]
    mapping = StoredMapping(MappingTable(tuple(rows)), 1, "")
    registry = load_sets(include=("uk-adult-ct",))
    marks: list[tuple[str, float]] = []
    start = time.perf_counter()
    result = examine(
        folder,
        registry,
        mapping,
        registry.examinations,
        since=None,
        until=UNTIL.date(),
        now=UNTIL,
        progress=lambda step, _fraction: marks.append((step, time.perf_counter())),
    )
    seconds = time.perf_counter() - start
    steps = {name: round(after - before, 3) for (name, before), (_, after) in pairwise(marks)}
    return seconds, steps, len(result.comparisons), len(result.findings)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exams", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_store(folder, arguments.exams)
        import ibis  # noqa: F401  (likewise)
        import scipy.stats  # noqa: F401  (start-up time is its own benchmark)

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        bare = min(bare_query(folder) for _ in range(3))
        seconds, steps, groups, findings = audit(folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {
        "exams": arguments.exams,
        "audit_s": round(seconds, 3),
        "bare_duckdb_quantiles_s": round(bare, 3),
        "ratio": round(seconds / bare, 1),
        "peak_memory_mb": round(peak / 1024),
        "memory_before_mb": round(before / 1024),
        "groups": groups,
        "findings": findings,
        "steps_s": steps,
    }
    if arguments.json:
        print(json.dumps(figures))
        return
    for key, value in figures.items():
        print(f"{key:>26}  {value}")


if __name__ == "__main__":
    main()
