"""The wheel carries all that an installed program needs, and nothing in the repository names an index or a machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree and unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    wanted = ("dose_audit", "drl_tables", "phantoms", "pyproject.toml", "README.md", "LICENSE")
    source.mkdir()
    for name in wanted:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=600)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder / "installed")
    return folder / "installed"


def test_data_travel_in_the_wheel(unpacked: Path) -> None:
    for name in (
        "_data/drl_tables/examinations.csv",
        "_data/phantoms/catphan504.toml",
        "report/templates/report.html.j2",
        "report/templates/sections/medians.html.j2",
        "extract/snomed_rt.json",
    ):
        assert (unpacked / "dose_audit" / name).is_file(), name
    assert list((unpacked / "dose_audit" / "_data" / "drl_tables").glob("*/*/*/rows.csv"))


def test_the_wheel_runs_the_demonstration_within_the_limits_of_windows(unpacked: Path, tmp_path: Path) -> None:
    limits = REPOSITORY / "tests" / "windows_limits"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(limits), str(unpacked)]),
        "PYTHONSAFEPATH": "1",
        "PYTHONIOENCODING": "cp1252",
    }
    where = subprocess.run(
        [sys.executable, "-c", "import dose_audit; print(dose_audit.__file__)"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(unpacked)
    refused = subprocess.run(
        [sys.executable, "-c", "import os; os.open('.', os.O_RDONLY)"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert "directories cannot be opened" in refused.stderr, "the limits are not in force"
    done = subprocess.run(
        [sys.executable, "-m", "dose_audit.cli", "demo", "--home", str(tmp_path / "home"), "--scale", "0.05"],
        capture_output=True, text=True, timeout=600, cwd=tmp_path, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    [report] = (tmp_path / "home" / "reports").glob("*/report.html")
    assert str(report) in done.stdout
    assert "Every object received is accounted for" in report.read_text(encoding="utf-8")


def _committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in listed.stdout.decode().split("\0") if name]


def test_no_file_names_a_package_index_or_a_developers_machine() -> None:
    hosts = re.compile(
        rb"pypi\.(?:org|python)|pythonhosted|npmjs\.|(?:index|extra-index)-url|/root/|/home/[a-z]+/", re.IGNORECASE
    )
    this = Path(__file__).resolve()
    found = []
    for path in _committed():
        if path.resolve() != this and path.is_file() and path.suffix not in (".dcm", ".png"):
            for match in hosts.finditer(path.read_bytes()):
                if b"no-emit-index-url" not in path.read_bytes()[match.start() - 12 : match.end()]:
                    found.append(f"{path.relative_to(REPOSITORY)}: {match[0].decode()}")
    assert found == []


def test_locks_carry_a_hash_for_every_pin() -> None:
    for name in ("demo.txt", "test.txt"):
        text = (REPOSITORY / "requirements" / name).read_text().replace("\\\n", " ")
        pins = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        assert pins
        assert all("==" in pin and "--hash=sha256:" in pin for pin in pins), name
