"""Mutated objects: read as pydicom reads them, or refused with a clear error; never anything else.

``DOSE_AUDIT_MUTATIONS=20000`` makes a long run by hand; ``DOSE_AUDIT_MUTATION_SEED`` starts it elsewhere.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from tests.extract.mutations import mutate, outcome
from tests.extract.objects import SYNTAXES, encode, image, report

COUNT = int(os.environ.get("DOSE_AUDIT_MUTATIONS", "400"))
FIRST = int(os.environ.get("DOSE_AUDIT_MUTATION_SEED", "0"))
MOST_SECONDS = 20.0 if COUNT <= 1000 else float("inf")


def generated() -> list[bytes]:
    return [
        encode(make(), syntax, undefined=undefined)
        for make in (report, image)
        for syntax in SYNTAXES
        if syntax != "deflated"
        for undefined in (False, True)
    ]


def different(objects: list[bytes], count: int) -> dict[int, list[str]]:
    """Seed → differences, of as many mutations as fit into the time."""
    found: dict[int, list[str]] = {}
    until = time.monotonic() + MOST_SECONDS
    read = 0
    for seed in range(FIRST, FIRST + count):
        rng = random.Random(seed)
        result = outcome(mutate(rng.choice(objects), rng))
        if result != "refused":
            read += 1
            if result:
                found[seed] = list(result)[:3]
        if time.monotonic() > until:
            break
    assert read > 0
    return found


def test_generated_objects() -> None:
    assert different(generated(), COUNT) == {}


def test_real_objects(real_dir: Path) -> None:
    paths = sorted(path for path in (real_dir / "dose").iterdir() if path.stat().st_size < 30_000)
    assert different([path.read_bytes() for path in paths], COUNT) == {}


def test_deflated_objects_never_raise_anything_else() -> None:
    # pydicom inflates without a limit, so only the reader's own behaviour is looked at.
    data = encode(report(), "deflated")
    for seed in range(FIRST, FIRST + COUNT // 4):
        outcome(mutate(data, random.Random(seed)))
