"""Breaks DICOM objects as transfers, disks and writers do, and as only attackers do."""

from __future__ import annotations

import contextlib
import random

from dose_audit.extract.reader import ReadError, peek, read_object
from tests.extract.pydicom_peer import differences, pydicom_read

INTERESTING = [
    *map(bytes.fromhex, ("ffffffff", "00000000", "feff00e0", "feffdde000000000", "feff0de000000000")),
    *(b"SQ\0\0", b"UN\0\0", b"UT\0\0", b"\xff\xff", b"\xfe\xff", b"\x80\xff"),
    *(b"\x1b$B", b"\\", b"1e999", b"nan"),
]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four random changes behind the file meta information, whose length its first element tells."""
    first = 144 + int.from_bytes(data[140:144], "little")
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if len(broken) < first + 16:
            break
        at = rng.randrange(first, len(broken) - 8)
        kind = rng.randrange(7)
        if kind == 0:
            broken[at] = rng.randrange(256)
        elif kind == 1:
            broken[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            piece = rng.choice(INTERESTING)
            broken[at : at + len(piece)] = piece
        elif kind == 3:
            del broken[at : at + rng.choice((1, 2, 8, 64))]
        elif kind == 4:
            broken[at:at] = broken[at : at + rng.choice((1, 2, 8, 64))]
        elif kind == 5:
            del broken[at:]
        else:
            other = rng.randrange(first, len(broken) - 8)
            broken[at : at + 8] = broken[other : other + 8]
    return bytes(broken)


def outcome(data: bytes) -> str | list[str]:
    """``refused`` when the reader says no, else its differences from pydicom; nothing else may be raised."""
    with contextlib.suppress(ReadError):
        peek(data)
    try:
        ours = read_object(data)
    except ReadError as error:
        assert str(error) and "\n" not in str(error)
        return "refused"
    try:
        theirs = pydicom_read(data)
    except Exception:  # noqa: BLE001 (pydicom refuses what ours can read)
        return []
    return differences(ours, theirs)
