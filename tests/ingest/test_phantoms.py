"""Phantom images from the spool to stored results: by study, once, with pages, and no object without a fate."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dose_audit.config import Settings
from dose_audit.ingest import open_spool, reanalyse, run_ingest, run_phantoms, scan_paths
from dose_audit.phantom.digital import Acquisition, recipe, slice_positions, write_series
from dose_audit.receive.routing import Route
from dose_audit.report.phantom_page import phantom_page

SLICES = 5


@pytest.fixture(scope="session")
def acquisition() -> Acquisition:
    """Five small slices of the water phantom."""
    spacing = 300.0 / 128
    return replace(
        recipe("water").acquisition,
        shape=(128, 128),
        spacing_mm=(spacing, spacing),
        z_mm=slice_positions(-10, 10, 5.0),
    )


def _write(folder: Path, acquisition: Acquisition, *, seed: int = 1, day: int = 5, **more: Any) -> list[Path]:
    truth = write_series(
        folder,
        recipe("water"),
        acquisition=acquisition,
        seed=seed,
        acquired=datetime(2026, 1, day, 8),
        station="CT1",
        **more,
    )
    (folder / "truth.json").unlink()
    return truth.files


@pytest.fixture
def water(tmp_path: Path, acquisition: Acquisition) -> Path:
    """A folder with one series."""
    _write(tmp_path / "water", acquisition)
    return tmp_path / "water"


def _measure(home: Settings, *paths: Path, **more: Any) -> Any:
    scan_paths(home, paths, site="North", phantom=True)
    return run_phantoms(home, own_process=False, page=phantom_page, **more)


def _states(home: Settings) -> tuple[Counter[str], dict[str, int]]:
    """States in the store and counts in the spool."""
    from dose_audit.store.models import ReceivedObject

    with open_spool(home) as spool:
        return Counter(ReceivedObject.objects.values_list("state", flat=True)), spool.counts()


def test_a_series_becomes_one_result_with_its_page_and_every_object_a_fate(home: Settings, water: Path) -> None:
    from dose_audit.store.models import PhantomStudy

    summary = _measure(home, water)
    assert (summary.analyses, summary.by_state) == (1, Counter(measured=SLICES))
    study = PhantomStudy.objects.get()
    assert (study.site.name, study.acquired_at, study.current) == ("North", datetime(2026, 1, 5, 8), True)
    names = set(study.measurements.filter(status="ok").values_list("name", flat=True))
    assert {"noise", "uniformity_centre", "body_diameter"} <= names
    # What the images say of their dose is kept, and is no condition by which runs are told apart.
    dose = float(pydicom.dcmread(next(water.iterdir()), stop_before_pixels=True).CTDIvol)
    assert study.conditions["dose"]["ctdi_vol_32_mgy"] == pytest.approx(dose)
    assert "ctdi" not in study.condition_key
    [folder] = (home.phantoms_dir / "2026-01").iterdir()
    assert {path.suffix for path in folder.iterdir()} == {".html", ".json", ".png"}
    assert json.loads((folder / "result.json").read_text())["phantom"]["id"] == study.definition
    for told in ("CT1", "DIGITAL", str(study.study_instance_uid)):
        assert told not in folder.name
    rows, counts = _states(home)
    assert (rows["measured"], counts["measured"], counts["received"]) == (SLICES, SLICES, SLICES)


def test_a_second_run_and_a_second_scan_change_nothing(home: Settings, water: Path) -> None:
    from dose_audit.store.models import PhantomStudy

    _measure(home, water)
    summary = _measure(home, water)
    assert (summary.studies, summary.analyses, PhantomStudy.objects.count()) == (0, 0, 1)


def test_what_is_no_phantom_or_no_image_or_broken_is_told_apart(home: Settings, water: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    image = pydicom.dcmread(sorted(water.iterdir())[0])
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3.1"
    image.SeriesInstanceUID = image.StudyInstanceUID = "1.2.3.10"
    image.PixelData = bytes(len(image.PixelData))
    image.save_as(others / "empty.dcm")
    del image.PixelData
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3.2"
    image.SeriesInstanceUID = image.StudyInstanceUID = "1.2.3.20"
    image.save_as(others / "no_pixels.dcm")
    broken = pydicom.dcmread(sorted(water.iterdir())[1])
    broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = "1.2.3.3"
    broken.SeriesInstanceUID = broken.StudyInstanceUID = "1.2.3.30"
    broken.PixelData = broken.PixelData[:1000]
    broken.save_as(others / "short.dcm")
    summary = _measure(home, water, others)
    assert summary.by_state == Counter(measured=SLICES, not_relevant=2, quarantined=1)
    told = " ".join(summary.reasons)
    for words in ("no known phantom recognised", "no image", "pixels cannot be decoded"):
        assert words in told
    rows, counts = _states(home)
    assert sum(rows.values()) == counts["received"] == SLICES + 3


def test_an_image_that_comes_late_makes_a_new_result_of_all(home: Settings, water: Path, tmp_path: Path) -> None:
    from dose_audit.store.models import PhantomStudy

    late = tmp_path / "late"
    late.mkdir()
    last = sorted(water.iterdir())[-1]
    last.rename(late / last.name)
    _measure(home, water)
    summary = _measure(home, late)
    assert summary.by_state == Counter(measured=1)
    first, second = PhantomStudy.objects.order_by("pk")
    assert (first.record["series"]["frames"], second.record["series"]["frames"]) == (SLICES - 1, SLICES)
    assert (first.current, second.current, second.repeat_of_day) == (False, True, 1)


def test_a_reanalysis_keeps_the_old_result_beside_the_new(
    home: Settings, water: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dose_audit.store.models import PhantomStudy

    _measure(home, water)
    assert reanalyse(home, own_process=False).studies == 0  # nothing has changed
    monkeypatch.setattr("dose_audit.phantom.results.ALGORITHM_VERSION", "next")
    monkeypatch.setattr("dose_audit.store.phantoms.ALGORITHM_VERSION", "next")
    summary = reanalyse(home, own_process=False, page=phantom_page)
    assert (summary.studies, summary.analyses) == (1, 1)
    old, new = PhantomStudy.objects.order_by("pk")
    assert (old.algorithm_version != "next", new.algorithm_version, old.current, new.current) == (
        True,
        "next",
        False,
        True,
    )
    assert old.measurements.get(name="noise").value == new.measurements.get(name="noise").value
    assert len(list((home.phantoms_dir / "2026-01").iterdir())) == 2


def test_algorithms_that_are_taken_back_give_the_former_result_again(
    home: Settings, water: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One result of these images is shown at any time, also where an earlier version had lost all of them."""
    from dose_audit.store.models import PhantomStudy

    _measure(home, water)
    with monkeypatch.context() as newer:
        for place in ("phantom.results", "store.phantoms"):
            newer.setattr(f"dose_audit.{place}.ALGORITHM_VERSION", "next")
        assert reanalyse(home, own_process=False).analyses == 1
    assert (reanalyse(home, own_process=False).studies, PhantomStudy.objects.count()) == (1, 2)
    [shown] = PhantomStudy.objects.filter(current=True)
    assert shown.algorithm_version != "next"
    PhantomStudy.objects.update(current=False)
    assert reanalyse(home, own_process=False).studies == 1
    assert [one.pk for one in PhantomStudy.objects.filter(current=True)] == [shown.pk]


def test_a_faulty_definition_of_the_sites_own_lets_images_wait(home: Settings, water: Path) -> None:
    """It may have been meant to replace a shipped one: nothing is measured by another, nothing goes into quarantine."""
    from dose_audit.doctor import examine
    from dose_audit.ingest import IngestError
    from dose_audit.quality.history import phantom_names

    own = home.phantom_definitions_dir
    own.mkdir(parents=True)
    (own / "bad.toml").write_text("id = 'mine'\n[[measure]]\n")
    scan_paths(home, [water], site="North", phantom=True)
    for work in (lambda: run_phantoms(home, own_process=False), lambda: reanalyse(home, own_process=False)):
        with pytest.raises(IngestError, match=r"bad\.toml.*wait until it is mended"):
            work()
    with open_spool(home) as spool:
        assert spool.counts()["phantom"] == SLICES
    assert "CatPhan 504" in phantom_names(own).values()
    assert [one.status for one in examine(home) if one.name == "phantom definitions"] == ["fail"]
    (own / "bad.toml").unlink()
    assert run_phantoms(home, own_process=False).by_state == Counter(measured=SLICES)


def test_a_reanalysis_says_where_images_are_gone(home: Settings, water: Path) -> None:
    _measure(home, water)
    with open_spool(home) as spool:
        spool.ledger.transact(lambda c: c.execute("UPDATE objects SET state = 'not_relevant'"))
    summary = reanalyse(home, everything=True, own_process=False)
    assert (summary.analyses, list(summary.reasons)) == (
        0,
        ["not measured again: its images are no longer in the spool"],
    )


def test_rules_send_phantoms_to_analysis_and_the_rest_to_dose(home: Settings, water: Path, radiographs: Path) -> None:
    routed = replace(home, routes=(Route("phantom", patient_id="DIGITAL-*"),))
    scan_paths(routed, [water, radiographs], site="North")
    ingested = run_ingest(routed, workers=0)
    measured = run_phantoms(routed, own_process=False)
    assert (ingested.by_state, measured.by_state) == (Counter(extracted=12), Counter(measured=SLICES))


def test_images_that_kill_the_measuring_process_are_quarantined_and_the_next_are_measured(
    home: Settings, tmp_path: Path, acquisition: Acquisition, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "deadly_page.py").write_text(
        textwrap.dedent("""
        import os, signal
        def page(record, pictures, modules):
            if record["series"]["acquired"].startswith("20260105"):
                os.kill(os.getpid(), signal.SIGKILL)
            return "fine"
        """)
    )
    monkeypatch.syspath_prepend(folder)  # spawned processes inherit the path
    from deadly_page import page  # type: ignore[import-not-found]

    _write(tmp_path / "one", acquisition, seed=1, day=5)
    _write(tmp_path / "two", acquisition, seed=2, day=6)
    scan_paths(home, [tmp_path / "one", tmp_path / "two"], site="North", phantom=True)
    summary = run_phantoms(home, page=page)
    assert summary.by_state == Counter(measured=SLICES, quarantined=SLICES)
    assert list(summary.reasons) == ["quarantined: its worker was ended by signal 9"]


def test_over_the_network_a_whole_series_is_measured_once(home: Settings, water: Path) -> None:
    from dose_audit.demo.run import send_folder
    from dose_audit.ingest import listener_settings
    from dose_audit.receive.listener import Listener
    from dose_audit.store.models import PhantomStudy

    routed = replace(home, routes=(Route("phantom", acquisition_protocol="QA*"),))
    with open_spool(routed) as spool:
        listener = Listener(listener_settings(routed, port=0), spool)
        listener.start()
        try:
            files = sorted(water.iterdir())
            send_folder(files, port=listener.port, calling_aet="CT1", called_aet=routed.aet)
        finally:
            listener.stop()
    summary = run_phantoms(routed, own_process=False)
    assert (summary.by_state, PhantomStudy.objects.get().record["series"]["frames"]) == (
        Counter(measured=SLICES),
        SLICES,
    )
    assert PhantomStudy.objects.get().received_at is not None


def test_a_series_on_which_a_locator_fails_waits_with_its_reason_and_the_other_is_measured(
    home: Settings, water: Path, acquisition: Acquisition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dose_audit.phantom.locate import ct_uniform
    from dose_audit.store.models import PhantomStudy, ReceivedObject

    right = ct_uniform.locate
    seen: list[str] = []

    def failing(bench: Any, definition: Any) -> Any:
        seen.append(bench.series.uid)
        if bench.series.uid == seen[0]:
            raise ZeroDivisionError
        return right(bench, definition)

    monkeypatch.setattr(ct_uniform, "locate", failing)
    _write(tmp_path / "again", acquisition, seed=2, day=6)
    summary = _measure(home, water, tmp_path / "again")
    assert summary.by_state == Counter(measured=SLICES, quarantined=SLICES)
    assert PhantomStudy.objects.count() == 1
    [reason] = summary.reasons
    assert "recognised, but could not be located: a defect of this program: ZeroDivisionError" in reason
    assert set(ReceivedObject.objects.filter(state="quarantined").values_list("reason", flat=True)) == {
        reason.removeprefix("quarantined: ")
    }


def test_a_page_that_cannot_be_made_loses_no_value(home: Settings, water: Path) -> None:
    from dose_audit.store.models import PhantomStudy, ReceivedObject

    def broken(*_: Any) -> str:
        raise ZeroDivisionError

    scan_paths(home, [water], site="North", phantom=True)
    summary = run_phantoms(home, own_process=False, page=broken)
    assert (summary.analyses, summary.by_state) == (1, Counter(measured=SLICES))
    assert PhantomStudy.objects.get().measurements.filter(status="ok").exists()
    [reason] = set(ReceivedObject.objects.values_list("reason", flat=True))
    assert "its page could not be written: ZeroDivisionError" in reason
