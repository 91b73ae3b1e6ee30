"""A person vouches for a run, and whoever changes it afterwards is seen, even one who mends the seal."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dose_audit.audit import run_audit
from dose_audit.audit.seal import SEAL
from dose_audit.audit.signing import RunNotSoundError, sign_run, signed_runs, unsound
from dose_audit.config import Settings
from dose_audit.report import render_run
from dose_audit.report.again import not_the_same

from .stored import StoredExams

STATEMENT = "Accepted; the chest group goes to the optimisation group"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    """A home with one run in it, to be copied."""
    from dose_audit.store.settings import prepare

    stored = StoredExams()
    for day in range(12):
        stored.add_ct(datetime(2026, 1, 1, 9) + timedelta(days=day), 300.0 + day, weight_kg=70.0)
    place = tmp_path_factory.mktemp("signing")
    copy = stored.write(place / "copy")
    settings = Settings(home=place / "home")
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr("dose_audit.store.parquet.refresh_parquet", lambda _: copy)
        prepare(settings)
        run_audit(settings, now=datetime(2026, 7, 1, 2, 0))
    return settings.home


@pytest.fixture
def settings(made: Path, tmp_path: Path, django_db_blocker: Any) -> Iterator[Settings]:
    """The same home for one test alone."""
    from dose_audit.store.settings import prepare

    settings = Settings(home=Path(shutil.copytree(made, tmp_path / "home")))
    with django_db_blocker.unblock():
        prepare(settings)
        yield settings


@pytest.fixture
def folder(settings: Settings) -> Path:
    [run] = signed_runs(settings.reports_dir)
    assert run.folder is not None and run.signatures == ()
    return run.folder


def test_who_signed_what_and_when_is_kept(settings: Settings, folder: Path) -> None:
    before = datetime.now().astimezone() - timedelta(seconds=1)
    sign_run(folder, by="MPE, North", statement=STATEMENT)
    sign_run(folder, by="MPE, South", statement="Seen")
    [run] = signed_runs(settings.reports_dir)
    assert [(one["by"], one["statement"]) for one in run.signatures] == [
        ("MPE, North", STATEMENT),
        ("MPE, South", "Seen"),
    ]
    assert before <= datetime.fromisoformat(run.signatures[0]["at"]) <= datetime.now().astimezone()
    assert {one["seal_sha256"] for one in run.signatures} == {hashlib.sha256((folder / SEAL).read_bytes()).hexdigest()}
    assert unsound(folder) == []


def test_a_changed_run_is_told_and_cannot_be_signed(folder: Path) -> None:
    from dose_audit.store.models import Signature

    week = min((folder / "values.parquet").iterdir())
    week.write_bytes(week.read_bytes() + b" ")
    [told] = unsound(folder)
    assert f"values.parquet/{week.name} was changed" in told
    with pytest.raises(RunNotSoundError, match=r"\.parquet was changed"):
        sign_run(folder, by="MPE", statement="Seen")
    assert not Signature.objects.exists()


def test_a_seal_that_was_mended_is_not_the_one_that_was_signed(folder: Path) -> None:
    sign_run(folder, by="MPE, North", statement=STATEMENT)
    report = folder / "report.json"
    report.write_text(report.read_text("utf-8").replace("300.0", "200.0") + "\n", encoding="utf-8")
    seal = json.loads((folder / SEAL).read_text("utf-8"))
    seal["report.json"] = hashlib.sha256(report.read_bytes()).hexdigest()
    (folder / SEAL).write_text(json.dumps(seal), encoding="utf-8")
    [told] = unsound(folder)
    assert told.startswith("MPE, North signed other files")


def test_a_run_of_another_home_is_not_known_here(folder: Path, tmp_path: Path) -> None:
    from dose_audit.store.models import AuditRun

    elsewhere = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert unsound(elsewhere) == []  # the same run, carried to another place
    AuditRun.objects.update(frozen_input_sha256="0" * 64)
    assert "000000000000" in unsound(elsewhere)[0]
    AuditRun.objects.all().delete()
    assert "no record of a run" in unsound(elsewhere)[0]


@pytest.mark.parametrize(("by", "statement"), [("", "Seen"), ("MPE", "  ")])
def test_nobody_signs_and_nothing_is_signed_without_words(folder: Path, by: str, statement: str) -> None:
    with pytest.raises(ValueError, match=r"with a statement|names no role"):
        sign_run(folder, by=by, statement=statement)


def test_a_page_that_was_touched_is_found_by_drawing_it_again(folder: Path) -> None:
    page = render_run(folder, formats=("html",)).html
    assert not_the_same(folder) == []
    page.write_text(page.read_text("utf-8").replace("300", "200", 1), encoding="utf-8")
    [told] = not_the_same(folder)
    assert told.startswith("report.html is not what this version draws")
