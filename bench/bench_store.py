"""Spool to store, beside pydicom's decode-and-walk of the same files and OpenREM's published cost of one report.

``python -m bench.bench_store`` prints three tables: CPU and SQL statements for one CT report read and stored in one
process; exams a second from the spool to the store with two workers; seconds for a new Parquet copy of many exams.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from dose_audit.config import Settings
from dose_audit.extract import read_part

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "real" / "dose" / "CT-RDSR-Siemens_Flash-TAP-SS.dcm"

OPENREM_CPU_S = 0.135
OPENREM_STATEMENTS = 190
"""What OpenREM spends on one CT report of 25 kB: its published shape, not measured here."""

_FIRST = 50
"""Reports that are stored before any is counted: imports, prepared statements, the device."""


def ct_report() -> bytes:
    """A CT dose report of about 25 kB: a real one where it lies beside the checkout, else the demonstration's."""
    if REAL.is_file():
        return REAL.read_bytes()
    reports = (item.data for item in _generated() if item.data.find(b"1.2.840.10008.5.1.4.1.1.88.67") > 0)
    return min(itertools.islice(reports, 50), key=lambda data: abs(len(data) - 25_000))


def _generated(scale: float = 0.05) -> Iterator[Any]:
    from dose_audit.demo.generate import generate

    yield from generate(scale=scale)


def renumbered(data: bytes, number: int) -> bytes:
    """The same report as of another study: study, object and event UIDs get other last digits, lengths stay."""
    exam = read_part(data)
    uids = [exam.study_instance_uid, exam.sources[0].sop_instance_uid]
    uids += [event.irradiation_event_uid for event in exam.events[:7]]
    for place, uid in enumerate(filter(None, uids), start=1):
        data = data.replace(uid.encode(), f"{uid[:-6]}{place}{number:05d}".encode())
    return data


def one_report(folder: Path, reports: int = 600, batch: int = 200) -> dict[str, float]:
    """CPU and statements of one CT report: read, and read and stored, in batches by one process."""
    import pydicom
    from django.db import connection

    from bench.bench_extract import walk_content
    from dose_audit.extract import ReadOptions
    from dose_audit.store.settings import prepare

    data = ct_report()
    paths = []
    for number in range(reports):
        path = folder / f"{number}.dcm"
        path.write_bytes(renumbered(data, number))
        paths.append(path)
    settings = Settings(home=folder / "one")
    prepare(settings)
    from dose_audit.store.identity import protection
    from dose_audit.store.writing import ReceivedPart, Writer

    protect = protection(settings)
    writer, options = Writer(protect), ReadOptions(pseudonym_key=protect.key)
    now = dt.datetime.now(dt.UTC)

    def read(path: Path, number: int) -> Any:
        exam = read_part(path, options=options)
        uid = exam.sources[0].sop_instance_uid or ""
        return ReceivedPart(uid, f"{number:064x}", len(data), now, exam=exam, spool_id=number)

    def store(numbers: range) -> None:
        for start in range(numbers.start, numbers.stop, batch):
            slots = range(start, min(start + batch, numbers.stop))
            writer.ingest_parts([read(paths[number], number) for number in slots])

    statements = [0]

    def count(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        statements[0] += 1
        return execute(sql, parameters, many, context)

    store(range(_FIRST))
    began = time.process_time()
    for number, path in enumerate(paths):
        read(path, number)
    reading = (time.process_time() - began) / reports
    measured = range(_FIRST, reports)
    with connection.execute_wrapper(count):
        began = time.process_time()
        store(measured)
        stored = (time.process_time() - began) / len(measured)
    began = time.process_time()
    for path in paths[:20]:
        walk_content(pydicom.dcmread(path))
    walk = (time.process_time() - began) / len(paths[:20])
    return {
        "bytes": len(data),
        "read_ms": 1000 * reading,
        "read_and_store_ms": 1000 * stored,
        "pydicom_walk_ms": 1000 * walk,
        "statements": statements[0] / len(measured),
        "openrem_ratio": OPENREM_CPU_S / stored,
    }


def _walk_file(path: str) -> int:
    import pydicom

    from bench.bench_extract import walk_content

    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return walk_content(dataset) if "ContentSequence" in dataset else sum(1 for element in dataset if element.value)


def spool_to_store(folder: Path, scale: float, workers: int = 2) -> dict[str, float]:
    """Objects and exams a second, worker start included, beside as many processes that only decode with pydicom."""
    from dose_audit.ingest import run_ingest, scan_paths

    tree = folder / "tree"
    tree.mkdir()
    for number, item in enumerate(_generated(scale)):
        (tree / f"{number:06d}.dcm").write_bytes(item.data)
    files = sorted(str(path) for path in tree.iterdir())
    settings = Settings(home=folder / "many", min_free_bytes=0)
    scan_paths(settings, [tree])
    began = time.perf_counter()
    summary = run_ingest(settings, workers=workers)
    ours = time.perf_counter() - began
    began = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        walked = sum(1 for _ in pool.map(_try_walk, files, chunksize=50))
    beside = time.perf_counter() - began
    from dose_audit.store.models import Exam

    return {
        "objects": summary.objects,
        "exams": Exam.objects.count(),
        "exams_per_s": Exam.objects.count() / ours,
        "objects_per_s": summary.objects / ours,
        "pydicom_objects_per_s": walked / beside,
        "ratio": (summary.objects / ours) / (walked / beside),
    }


def _try_walk(path: str) -> int:
    from pydicom.errors import InvalidDicomError

    try:
        return _walk_file(path)
    except (InvalidDicomError, OSError, ValueError, KeyError, AttributeError):
        return 0  # the network holds a corrupt object on purpose


def parquet_copy(folder: Path, exams: int) -> dict[str, float]:
    """Seconds for a new Parquet copy, of a store filled with copies of one exam.

    A row is an exam, an irradiation event or a received object of the copy. Beside wall seconds stand those of processor, of
    this process and of those that it starts: on an idle machine with two cores, twice the rows a processor second.
    """
    import resource

    from django.db import connection, transaction

    from dose_audit.store.columns_manifest import read_manifest
    from dose_audit.store.models import Event, Exam
    from dose_audit.store.parquet import refresh_parquet

    settings = Settings(home=folder / "one")
    model = Exam.objects.order_by("pk").first()
    assert model is not None
    events = Event.objects.filter(exam=model).count()
    first = Exam.objects.order_by("-pk")[0].pk + 1
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {exams}) "
            + _copies(Exam, id=f"{first} + n.i", study_instance_uid="'9.' || n.i")
            + f" FROM store_exam AS t, n WHERE t.id = {model.pk}"
        )
        cursor.execute(
            _copies(Event, id="NULL", exam_id="x.id")
            + f" FROM store_event AS t, store_exam AS x WHERE t.exam_id = {model.pk} AND x.id >= {first} "
            "ORDER BY x.id, t.event_index"
        )
    connection.close()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, processor = time.perf_counter(), time.process_time()
    manifest = read_manifest(refresh_parquet(settings))
    assert manifest is not None
    made_anew, processor = time.perf_counter() - began, time.process_time() - processor
    apart = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor += apart.ru_utime + apart.ru_stime - children.ru_utime - children.ru_stime
    rows = sum(file.rows for blocks in manifest.files.values() for file in blocks.values())
    began = time.perf_counter()
    refresh_parquet(settings)
    return {
        "exams": exams,
        "events": exams * events,
        "rows": rows,
        "s": made_anew,
        "rows_per_s": rows / made_anew,
        "processor_s": processor,
        "again_s": time.perf_counter() - began,
    }


def _copies(model: Any, **changes: str) -> str:
    """SQL for rows of a table that are copies of others, of which some columns are given."""
    names = [field.column for field in model._meta.concrete_fields]
    values = ", ".join(changes.get(name, f"t.{name}") for name in names)
    return f"INSERT INTO {model._meta.db_table} ({', '.join(names)}) SELECT {values}"


def run(*, reports: int = 600, scale: float = 0.5, exams: int = 100_000) -> dict[str, dict[str, float]]:
    """All three measurements in one run."""
    with tempfile.TemporaryDirectory(prefix="dose-audit-bench-") as name:
        folder = Path(name)
        found = {"one_report": one_report(folder, reports), "parquet": parquet_copy(folder, exams)}
        found["spool_to_store"] = spool_to_store(folder, scale)
        from django.db import connections

        connections.close_all()
    return found


def main() -> None:
    """Print the tables in Markdown, or the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=600, help=f"more than {_FIRST}: so many are not counted")
    parser.add_argument("--scale", type=float, default=0.5, help="size of the generated network")
    parser.add_argument("--exams", type=int, default=100_000, help="exams in the Parquet copy")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.reports <= _FIRST:
        parser.error(f"--reports {options.reports}: the first {_FIRST} are not counted, ask for more")
    found = run(reports=options.reports, scale=options.scale, exams=options.exams)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    one, many, copy = found["one_report"], found["spool_to_store"], found["parquet"]
    print("| one CT report, one process, batched | CPU, ms | SQL statements | OpenREM's 135 ms and 190 |")
    print("|---|---|---|---|")
    print(f"| read | {one['read_ms']:.2f} | 0 | |")
    print(
        f"| read and stored | {one['read_and_store_ms']:.2f} | {one['statements']:.2f} "
        f"| {one['openrem_ratio']:.0f} × less CPU, {OPENREM_STATEMENTS / one['statements']:.0f} × fewer statements |"
    )
    print(f"| pydicom decode and walk alone | {one['pydicom_walk_ms']:.2f} | 0 | |\n")
    print("| spool to store, two workers | objects/s | exams/s | pydicom decode and walk, two processes | ratio |")
    print("|---|---|---|---|---|")
    print(
        f"| {many['objects']:.0f} objects | {many['objects_per_s']:.0f} | {many['exams_per_s']:.0f} "
        f"| {many['pydicom_objects_per_s']:.0f} objects/s | {many['ratio']:.1f} |\n"
    )
    print("| Parquet copy | rows | s | rows/s | processor, s | again, unchanged, s |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {copy['exams']:,} exams, {copy['events']:,} events | {copy['rows']:,.0f} | {copy['s']:.1f} "
        f"| {copy['rows_per_s']:,.0f} | {copy['processor_s']:.1f} | {copy['again_s']:.3f} |"
    )


if __name__ == "__main__":
    main()
