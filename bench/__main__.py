"""``make bench``: every benchmark in turn, each in a process of its own, then the start-up time of the program."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_BENCHMARKS = (
    "bench_extract",
    "bench_headers",
    "bench_reader",
    "bench_store",
    "bench_audit",
    "bench_night",
    "bench_dosimetry",
    "bench_skin",
    "bench_image_quality",
    "bench_image_quality_regions",
    "bench_image_quality_detector",
    "bench_phantom_make",
    "bench_phantom_listen",
)
_STARTS = 15


def main() -> int:
    """Run all; return 1 when one of them failed."""
    failed = []
    for name in _BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    print("\n== start-up ==")
    for words in (["-m", "dose_audit.cli", "--help"], ["-c", "pass"]):
        seconds = statistics.median(_start(words) for _ in range(_STARTS))
        print(f"python {' '.join(words):<28} {1000 * seconds:6.0f} ms, median of {_STARTS}")
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


def _start(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
