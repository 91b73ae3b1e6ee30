"""Who has an object in hand: never two at once, and back in the queue when its worker is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from dose_audit.receive.spool import Spool
from tests.receive.conftest import Clock
from tests.receive.spools import put


def test_two_workers_never_get_the_same_object(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0) as one, Spool(tmp_path / "s", min_free_bytes=0) as two:
        for n in range(20):
            put(one, f"1.2.{n}")
        got = [item.id for _ in range(5) for spool in (one, two) for item in spool.claim(2, worker="w")]
        assert len(got) == 20 == len(set(got))


def test_a_worker_that_dies_in_mid_parse_gives_its_object_back(tmp_path: Path, clock: Clock) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0, lease_s=60) as spool:
        identifier = put(spool, "1.2.3").id
        for _ in range(6):
            assert [item.id for item in spool.claim(1, worker="dies")] == [identifier]
            assert spool.claim(1, worker="other") == []
            clock.now += 61
        assert spool.claim(1, worker="careful") == []
        [(item, reason)] = spool.quarantined()
        assert item.id == identifier and item.path.exists()
        assert (
            "ended or hung 6 times" in reason and f"dose-audit quarantine retry {identifier} reads it again" in reason
        )
        assert spool.requeue(ids=[identifier]) == 1
        assert [item.id for item in spool.claim(1, worker="careful")] == [identifier]


def test_only_the_object_that_programs_die_of_is_quarantined(tmp_path: Path, clock: Clock) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0, lease_s=60) as spool:
        identifiers = [put(spool, f"1.2.{n}").id for n in range(4)]
        deadly = identifiers[1]
        for _ in range(3):  # with all of them in hand nothing says which one it was
            assert len(spool.claim(9, worker="dies")) == 4
            clock.now += 61
        handed_out = []
        while items := spool.claim(9, worker="dies"):
            [item] = items  # each alone from now on
            handed_out.append(item.id)
            assert spool.claim(9, worker="dies") == []  # and nothing beside it
            if item.id == deadly:
                clock.now += 61
            else:
                spool.settle(item.id, "extracted")
        assert handed_out == [identifiers[0], deadly, deadly, deadly, *identifiers[2:]]
        assert [item.id for item, _ in spool.quarantined()] == [deadly]


def test_what_a_killed_process_had_waits_again_at_once(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0, lease_s=600) as spool:
        identifiers = [put(spool, f"1.2.{n}").id for n in range(3)]
        program = (
            "import sys; from pathlib import Path; from dose_audit.receive.spool import Spool\n"
            "spool = Spool(Path(sys.argv[1]), min_free_bytes=0, lease_s=600)\n"
            "print(len(spool.claim(2, worker='other')), flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None and other.stdout.readline() == b"2\n"
            assert [item.id for item in spool.claim(5, worker="w")] == identifiers[
                2:
            ]  # it lives: its objects are its own
            other.kill()
            other.wait()
        assert [item.id for item in spool.claim(5, worker="w")] == identifiers[:2]
        assert len(list((tmp_path / "s" / "leases").iterdir())) == 1  # of the dead one nothing is left


def test_leases_do_not_follow_the_wall_clock(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    put(spool, "1.2.3")
    assert len(spool.claim(1, worker="w")) == 1
    now = time.time()
    for jump in (86400.0 * 400, -86400.0 * 400):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert spool.claim(1, worker="other") == []
        assert put(spool, f"1.2.4.{int(jump > 0)}").state == "stored"
        spool.settle(spool.claim(1, worker="w")[0].id, "extracted")


def test_leases_of_an_earlier_boot_have_lapsed(spool: Spool) -> None:
    put(spool, "1.2.3")
    spool.claim(1, worker="before the restart")
    spool._boot = "another boot"
    assert len(spool.claim(1, worker="after")) == 1
