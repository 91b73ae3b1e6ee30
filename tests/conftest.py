"""What all tests share: where real DICOM lies, and real peers that are started and stopped here."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from dose_audit.locks import lock_file
from tests.disks import mount as mount
from tests.ports import own_port

REPOSITORY = Path(__file__).resolve().parent.parent
REAL = REPOSITORY.parent / "shared" / "real"
EXPECTED = REPOSITORY.parent / "shared" / "expected"

MadeOnce = Callable[[str, Callable[[], Any]], Any]
"""What the fixture `made_once` is: gives under a name what is made for it by the first that asks."""

# dcmtk leaves Nagle's algorithm on; with it every small answer waits 40 ms for the peer's delayed acknowledgement.
os.environ.setdefault("TCP_NODELAY", "1")

# The same examples everywhere, and no verdict by how long one takes: a refusal on another machine must show here too.
UNHURRIED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same-everywhere", derandomize=True, **UNHURRIED)
settings.register_profile("searching", **UNHURRIED)
settings.load_profile("searching" if os.environ.get("DOSE_AUDIT_LONG_TESTS") else "same-everywhere")

collect_ignore = ["windows_limits"]  # is for processes that tests start; imported here it would hold for every test


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """Folder of real DICOM beside the checkout; the test is skipped, saying so, where there is none."""
    if not REAL.is_dir():
        pytest.skip("no real DICOM here: ../shared/real is absent")
    return REAL


@pytest.fixture(scope="session")
def expected_dir() -> Path:
    """Folder of what other programs make of the real DICOM."""
    if not EXPECTED.is_dir():
        pytest.skip("no peers' results here: ../shared/expected is absent")
    return EXPECTED


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Path of a peer's program, or a skip that names it."""

    def find(name: str) -> str:
        own = Path(sys.executable).parent  # pynetdicom puts programs of the same names beside the interpreter
        folders = [folder for folder in os.get_exec_path() if Path(folder) != own]
        path = shutil.which(name, path=os.pathsep.join(folders))
        if path is None:
            pytest.skip(f"{name} is not installed (tests/install_peers.sh installs it as root on Debian)")
        return path

    return find


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Makes what is dear once for all workers of a run, under a name; the others wait for it and read it."""
    several = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent if several else tmp_path_factory.getbasetemp()

    def once(name: str, make: Callable[[], Any]) -> Any:
        kept = folder / f"{name}.pickle"
        with (folder / f"{name}.lock").open("wb") as lock:
            lock_file(lock.fileno())
            if not kept.exists():
                kept.write_bytes(pickle.dumps(make()))
        return pickle.loads(kept.read_bytes())

    return once


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on and nobody else is given."""
    return own_port()
