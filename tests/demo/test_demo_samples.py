"""The committed sample files are what their maker writes, and small."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "testdata"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("make_samples", FOLDER / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out = tmp_path_factory.mktemp("samples")
    return out, module.make_samples(out)


def test_samples_are_what_their_maker_writes(fresh):
    out, truths = fresh
    committed = {path.name for path in FOLDER.glob("*.dcm")}
    assert committed == set(truths)
    for name in (*committed, "truth.json"):
        same = (FOLDER / name).read_bytes() == (out / name).read_bytes()
        assert same, f"{name} is out of date: run testdata/make_samples.py"


def test_samples_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 300_000
