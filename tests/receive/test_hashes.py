"""When an object is hashed, and what depends on it: copies, conflicts, storage commitment."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from dose_audit.receive.part10 import file_header
from dose_audit.receive.spool import Spool
from tests.receive.spools import CLASS, EXPLICIT, put
from tests.receive.test_spool import LARGE


def test_verify_hashes_again(spool: Spool) -> None:
    put(spool, "1.2.3")
    assert spool.verify(CLASS, "1.2.3") == "ok"
    assert spool.verify(CLASS, "1.2.4") == "absent"
    assert spool.verify("1.2.840.10008.5.1.4.1.1.2", "1.2.3") == "class_differs"
    [item] = spool.claim(1, worker="w")
    content = bytearray(item.path.read_bytes())
    content[-1] ^= 1
    item.path.write_bytes(content)
    assert spool.verify(CLASS, "1.2.3") == "damaged"


def recorded_hashes(spool: Spool) -> list[str]:
    return [sha256 for (sha256,) in spool.ledger.read("SELECT sha256 FROM objects ORDER BY id")]


def test_a_large_object_is_hashed_before_a_worker_gets_it_a_small_one_before_its_sender_is_told(spool: Spool) -> None:
    put(spool, "1.2.1")
    put(spool, "1.2.2", LARGE)
    spool.add_bytes(file_header(CLASS, "1.2.3", EXPLICIT) + LARGE, source="upload")
    small, large, upload = recorded_hashes(spool)
    assert len(small) == len(upload) == 64 and large == ""
    items = spool.claim(5, worker="w")
    assert [item.sha256 for item in items] == [hashlib.sha256(item.path.read_bytes()).hexdigest() for item in items]
    assert recorded_hashes(spool) == [item.sha256 for item in items]


def test_copies_and_conflicts_of_large_objects_are_told_apart(spool: Spool) -> None:
    states = [put(spool, "1.2.3", data).state for data in (LARGE, LARGE, LARGE[:-2] + b"xy", LARGE[:-2] + b"xy")]
    assert states == ["stored", "duplicate", "conflict", "duplicate"]
    assert len(list((spool.root / "objects").rglob("*.dcm"))) == 2


def test_concurrent_senders_of_one_large_object_store_it_once(spool: Spool) -> None:
    states: list[str] = []
    threads = [threading.Thread(target=lambda: states.append(put(spool, "1.2.3", LARGE).state)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["duplicate"] * 11 + ["stored"]
    assert len(list((spool.root / "objects").rglob("*.dcm"))) == 1


def test_a_large_object_whose_file_is_lost_before_it_was_hashed_comes_in_again(spool: Spool) -> None:
    put(spool, "1.2.3", LARGE)
    next((spool.root / "objects").rglob("*.dcm")).unlink()
    assert put(spool, "1.2.3", LARGE).state in ("stored", "conflict")
    first, second = spool.claim(5, worker="w")
    assert first.sha256 == "" and not first.path.exists()
    assert second.sha256 == hashlib.sha256(second.path.read_bytes()).hexdigest()


def test_a_file_in_place_is_compared_with_what_was_not_hashed_yet(spool: Spool, tmp_path: Path) -> None:
    put(spool, "1.2.3", LARGE)
    same = next((spool.root / "objects").rglob("*.dcm")).read_bytes()
    for name, content, expected in (("same.dcm", same, "stored"), ("other.dcm", same[:-2] + b"xy", "conflict")):
        path = tmp_path / name
        path.write_bytes(content)
        receipt = spool.register_file(
            path,
            hashlib.sha256(content).hexdigest(),
            len(content),
            source="file",
            sop_instance_uid="1.2.3",
            sop_class_uid=CLASS,
        )
        assert receipt.state == expected


def test_verify_hashes_a_large_object_for_the_first_time_and_then_again(spool: Spool) -> None:
    put(spool, "1.2.3", LARGE)
    assert spool.verify(CLASS, "1.2.3") == "ok" and len(recorded_hashes(spool)[0]) == 64
    path = next((spool.root / "objects").rglob("*.dcm"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert spool.verify(CLASS, "1.2.3") == "damaged"
    put(spool, "1.2.4", LARGE)
    cut = next(item for item in spool.instances("1.2.4")).path
    os.truncate(cut, 1000)
    assert spool.verify(CLASS, "1.2.4") == "damaged"
