"""A night with 5,000 new exams on many stored ones: CPU seconds of each step of the audit, on the first night, on the night
after, and on a night on which nothing that was worked out before is kept, each in a process of its own as cron starts it.

The exams of `bench_audit`, with every exam what it was the night before. Of several sizes of the store it prints how the night
grows while its new exams stay as many, and what it takes beside the bare quantile query of `bench_audit` over the same
Parquet, which the audit's own may take twice::

    python -m bench.bench_night --exams 200000 1000000 --folder DIR
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import bench_audit
from bench.bench_audit import EXAMINATIONS, NIGHT, PROTOCOLS, bare_query, write_store
from dose_audit.store.columns_manifest import CopiedFile, file_sha256, read_manifest, write_manifest
from dose_audit.store.parquet import BLOCK_ROWS

P = ParamSpec("P")
T = TypeVar("T")

LAST = datetime(2026, 5, 14, 20)
"""Evening of the second night's exams: in the middle of a quarter, whose first night alone gives verdicts."""


def take_back_a_night(folder: Path, exams: int, aside: Path) -> None:
    """Put the exams after number `exams` aside: every one before stays what it is."""
    shutil.copytree(folder, aside)
    manifest = read_manifest(folder)
    assert manifest is not None
    for name, files in manifest.files.items():
        for block, file in list(files.items()):
            table = pq.read_table(folder / file.file)
            number = table.column("object_id" if name == "objects" else "exam_id")
            if pc.max(number).as_py() <= exams:
                continue
            kept = table.filter(pc.less_equal(number, pa.scalar(exams)))
            (folder / file.file).unlink()
            del files[block]
            if kept.num_rows:
                path = (folder / file.file).with_suffix(".before.parquet")
                pq.write_table(kept, path, compression="zstd", compression_level=1)
                files[block] = CopiedFile(
                    f"{path.parent.name}/{path.name}", kept.num_rows, kept.num_rows, file_sha256(path)
                )
    write_manifest(folder, manifest)


def add_the_night(folder: Path, aside: Path) -> None:
    """Bring back the whole store, with what the first night kept."""
    for table in ("exams", "events", "objects"):
        shutil.copytree(aside / f"{table}.parquet", folder / f"{table}.parquet", dirs_exist_ok=True)
    manifest = read_manifest(aside)
    assert manifest is not None
    write_manifest(folder, manifest)


@dataclass(frozen=True)
class Night:
    """CPU seconds of each step of a night's audit until it is frozen, its exams, and a hash of all that it found."""

    cpu_s: dict[str, float]
    in_period: int
    sha256: str


def night(folder: Path, until: datetime, *, keep: bool = True) -> Night:
    """Audit in this process. Imports at its start are not in it: start-up has a benchmark of its own."""
    from dose_audit.audit.examine import examine
    from dose_audit.audit.mapping import StoredMapping
    from dose_audit.audit.nightly import default_since
    from dose_audit.audit.runs import report_texts, write_report
    from dose_audit.audit.schedule import nightly_schedule
    from dose_audit.drl import ExamMapping, MappingTable, load_sets

    rows = [
        ExamMapping(level="exact", acquisition_protocol=f"{slug} v{p}", examination=slug, line=2 + i * PROTOCOLS + p)
        for i, (slug, _, _) in enumerate(EXAMINATIONS)
        for p in range(PROTOCOLS)
    ]
    registry = load_sets(include=("uk-adult-ct",))
    since: date = default_since(until.date())
    marks: list[tuple[str, float]] = []
    result = examine(
        folder,
        registry,
        StoredMapping(MappingTable(tuple(rows)), 1, ""),
        registry.examinations,
        since=since,
        until=until.date(),
        now=until,
        schedule=nightly_schedule(since, until.date()),
        keep=keep,
        progress=lambda step, _fraction: marks.append((step, time.process_time())),
    )
    marks[-1] = ("freezing", marks[-1][1])
    result.frozen.write(folder / "frozen-values.parquet")
    write_report(report_texts({"comparisons": result.comparisons, **result.sections}), folder / "frozen-report.json")
    marks.append(("", time.process_time()))
    steps = {name: round(after - before, 2) for (name, before), (_, after) in pairwise(marks)}
    found = hashlib.sha256(repr(result.findings).encode())
    for path in (folder / "frozen-report.json", *sorted((folder / "frozen-values.parquet").iterdir())):
        found.update(path.name.encode() + path.read_bytes())
    total = {"total": round(marks[-1][1] - marks[0][1], 2)}
    return Night(steps | total, result.completeness["in_period"], found.hexdigest())


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function gives in a new process, whose memory nothing went through before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def measure(folder: Path, exams: int, *, whole: bool = True) -> dict[str, Any]:
    """CPU seconds of the nights; with `whole` also of one on which nothing is kept, and whether it found the same."""
    bench_audit.LAST = np.datetime64(LAST, "us")
    # The exams reach back a year at least, so that verdict periods have closed.
    bench_audit.NIGHT = a_day = min(NIGHT, exams // 365)
    store, aside = folder / "store", folder / "aside"
    store.mkdir()
    write_store(store, exams + NIGHT)
    take_back_a_night(store, exams, aside)
    second = LAST + timedelta(hours=6)
    first = apart(night, store, second - timedelta(days=NIGHT / a_day))
    add_the_night(store, aside)
    after = apart(night, store, second)
    bare = [apart(bare_query, store) for _ in range(3)]
    figures = {
        "exams": exams,
        "exams_in_period": after.in_period,
        "new": NIGHT,
        "blocks_of": BLOCK_ROWS,
        "first_night_cpu_s": first.cpu_s,
        "next_night_cpu_s": after.cpu_s,
        "bare_query_cpu_s": round(statistics.median(bare), 2),
        "next_night_less_twice_the_query_cpu_s": round(after.cpu_s["total"] - 2 * statistics.median(bare), 2),
    }
    if whole:
        every = apart(night, store, second, keep=False)
        figures["next_night_with_nothing_kept_cpu_s"] = every.cpu_s
        figures["same_result"] = after.sha256 == every.sha256
    return figures


def growth(sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By step, the CPU seconds that each further million of exams in the audited period adds to a night."""
    found = []
    for small, large in pairwise(sizes):
        more = (large["exams_in_period"] - small["exams_in_period"]) / 1e6
        one, other = small["next_night_cpu_s"], large["next_night_cpu_s"]
        by_step = {step: round((other[step] - one[step]) / more, 2) for step in other}
        found.append({"from": small["exams"], "to": large["exams"], "cpu_s_a_million_exams_of_the_period": by_step})
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exams", type=int, nargs="+", default=[200_000], help="sizes of the store, ascending")
    parser.add_argument("--folder", type=Path, help="where the stores are made, and taken away again")
    parser.add_argument("--without-whole", action="store_true", help="leave out the night on which nothing is kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args()
    sizes = []
    for exams in arguments.exams:
        with tempfile.TemporaryDirectory(prefix="dose-audit-bench-", dir=arguments.folder) as name:
            sizes.append(measure(Path(name), exams, whole=not arguments.without_whole))
        _print(sizes[-1], as_json=arguments.json)
    for step in growth(sizes):
        _print(step, as_json=arguments.json)


def _print(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures), flush=True)
        return
    for key, value in figures.items():
        print(f"{key:>36}  {value}", flush=True)


if __name__ == "__main__":
    main()
