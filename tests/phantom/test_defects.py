"""A locator, procedure or picture that fails costs its own series and says so; the others go on, and the failure shows."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dose_audit.cli import app
from dose_audit.phantom.analyse import Outcome, analyse
from dose_audit.phantom.digital import recipe, slice_positions, write_series

SERIES = ("first", "second")
TEXT = "SMITH^JOHN"


class Fault(Exception):
    """What no code of the program raises or catches by name; its text stands for a value out of a header."""


@pytest.fixture(scope="module")
def water(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two series of three small slices of the water phantom, in two studies."""
    folder = tmp_path_factory.mktemp("water")
    spacing = 300.0 / 128
    acquisition = replace(
        recipe("water").acquisition, shape=(128, 128), spacing_mm=(spacing, spacing), z_mm=slice_positions(-5, 5, 5.0)
    )
    for seed, name in enumerate(SERIES, 1):
        write_series(folder / name, recipe("water"), acquisition=acquisition, seed=seed)
        (folder / name / "truth.json").unlink()
    return folder


def _raising_once(monkeypatch: pytest.MonkeyPatch, name: str, which: int = 1) -> None:
    """Let a function fail at its first call, or at the n-th, and do its work at all others."""
    module, _, function = name.rpartition(".")
    right = getattr(importlib.import_module(module), function)
    calls = []

    def failing(*given: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == which:
            raise Fault(TEXT)
        return right(*given, **more)

    monkeypatch.setattr(name, failing)


def _said_once(outcome: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    """The kind of the failure is told, its trace is in the log, its text is nowhere."""
    record = json.dumps(outcome.as_record())
    assert "a defect of this program: Fault" in record
    [told] = [one for one in caplog.records if one.levelname == "ERROR"]
    assert "Fault" in told.getMessage() and "test_defects.py" in told.getMessage()
    assert TEXT not in record + caplog.text


def test_a_locator_that_fails_while_looking_costs_its_own_phantoms(
    water: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _raising_once(monkeypatch, "dose_audit.phantom.locate.ct_cylinder.match")
    outcome = analyse(water)
    # Another locator knows the phantom: both series are measured, and what was not looked for is noted in one of them.
    assert [one.definition.locator for one in outcome.analyses] == ["ct_uniform"] * 2
    assert sum("could not be looked for" in " ".join(one.series.notes) for one in outcome.analyses) == 1
    _said_once(outcome, caplog)


def test_a_phantom_that_is_asked_for_and_cannot_be_looked_for_is_refused_as_a_defect(
    water: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dose_audit.phantom.locate.ct_uniform.match", _always_failing)
    outcome = analyse(water / SERIES[0], definition="siemens-water")
    [refused] = outcome.refused
    assert refused.defect and "could not be looked for" in refused.reason and "Fault" in refused.reason
    assert not outcome.analyses and "Fault" in caplog.text


def _always_failing(*_: Any) -> Any:
    raise Fault


def test_a_locator_that_fails_while_locating_costs_its_own_series(
    water: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _raising_once(monkeypatch, "dose_audit.phantom.locate.ct_uniform.locate")
    outcome = analyse(water)
    [refused] = outcome.refused
    assert refused.defect and refused.looks_like == outcome.analyses[0].definition.id
    assert "recognised, but could not be located" in refused.reason
    assert len(outcome.analyses) == 1 and outcome.analyses[0].series is not refused.series
    _said_once(outcome, caplog)


def test_a_procedure_that_fails_costs_its_own_value(
    water: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = analyse(water / SERIES[0]).analyses[0]
    procedure = whole.definition.measures[0].procedure
    _raising_once(monkeypatch, f"dose_audit.phantom.procedures.{procedure}")
    outcome = analyse(water / SERIES[0])
    [analysis] = outcome.analyses
    [lost] = [one.measured for one in analysis.measurements if "a defect of this program" in one.measured.reason]
    assert lost.value is None and lost.status == "not_measurable"
    values = {one.name: one.measured.value for one in analysis.measurements if one.measured.value is not None}
    assert values and values.items() <= {one.name: one.measured.value for one in whole.measurements}.items()
    _said_once(outcome, caplog)


@pytest.mark.parametrize(
    ("part", "given", "code", "told"),
    [
        ("dose_audit.phantom.locate.ct_uniform.locate", SERIES, 3, "could not be located"),
        ("dose_audit.phantom.picture._png", SERIES[:1], 3, "no picture of"),
        ("dose_audit.report.phantom_page.phantom_page", SERIES[:1], 3, "no page"),
        ("dose_audit.phantom.analyse.judge", SERIES[:1], None, ""),
    ],
)
def test_the_command_writes_what_it_can_and_its_exit_code_tells_that_something_is_missing(
    water: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    given: tuple[str, ...],
    code: int | None,
    told: str,
) -> None:
    _raising_once(monkeypatch, part)
    images = water if given == SERIES else water / given[0]
    result = CliRunner().invoke(app, ["phantom", "analyse", str(images), "--report", str(tmp_path / "out")])
    if code is None:
        # Outside of what one series can be blamed for, a programming error is an error.
        assert isinstance(result.exception, Fault)
        return
    assert result.exit_code == code
    text = (tmp_path / "out" / "result.json").read_text()
    assert told in text and "Fault" in text
    assert len(list((tmp_path / "out").glob("*.html"))) == ("page" not in part)
