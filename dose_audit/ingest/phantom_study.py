"""One study of phantom images from spooled objects to the store: all its series together, so that repeats pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.db import Error

from dose_audit.config import Settings
from dose_audit.ingest.phantom_results import result_folder, write_result
from dose_audit.ingest.phantom_task import Fate, Page, StudyResult, StudyTask
from dose_audit.ingest.sites import site_of
from dose_audit.phantom.analyse import Outcome, analyse
from dose_audit.phantom.results import Analysis
from dose_audit.phantom.series import ImageSeries
from dose_audit.receive.objects import SpooledObject
from dose_audit.store.devices import Devices
from dose_audit.store.models import PhantomStudy
from dose_audit.store.parts import ReceivedPart
from dose_audit.store.phantoms import (
    acquired_at,
    baselines_in_force,
    condition_key,
    conditions_of,
    equipment_of,
    ingest_measurements,
    supersede_series,
)
from dose_audit.store.places import where

__all__ = ["StudyMeasurer"]

KIND = "phantom_image"


class StudyMeasurer:
    """Measures studies and writes them. Django must be set up before this module is imported.

    Parameters
    ----------
    settings : Settings
    page : callable, optional
        Makes the result's page.
    """

    def __init__(self, settings: Settings, page: Page | None = None) -> None:
        from dose_audit.store.identity import protection
        from dose_audit.store.writing import Writer

        self._settings = settings
        self._page = page
        self._devices = Devices()
        self._writer = Writer(protection(settings))
        own = settings.phantom_definitions_dir
        self._own = own if own.is_dir() else None

    def run(self, task: StudyTask) -> StudyResult:
        """Measure one study, store what came of it, and say what became of each of its new objects.

        Raises
        ------
        django.db.Error
            The store cannot be written; no object is to blame.
        """
        if task.refusal:
            return StudyResult(self._record(dict.fromkeys(task.objects, ("quarantined", task.refusal))))
        present, states = _present(task.objects)
        earlier, _ = _present(task.earlier)
        phantoms: list[str] = []
        new = 0
        try:
            outcome = analyse(
                [one.path for one in (*earlier, *present)], own_folder=self._own, baselines=self._baselines
            )
            new, phantoms, faults = self._store(outcome, [*earlier, *present])
            states |= _states(outcome, present) | {one: faults[one.sha256] for one in present if one.sha256 in faults}
        except Error:
            raise
        except MemoryError:
            states |= dict.fromkeys(present, ("quarantined", "measuring it takes more memory than one study may"))
        except ValueError as error:
            # Too many images or bytes, or a definition of the site's own that is no definition: told in our own words.
            states |= dict.fromkeys(present, ("quarantined", " ".join(str(error).split())[:300]))
        except Exception as error:  # noqa: BLE001  a defect of ours meets one study, not all that wait
            states |= dict.fromkeys(present, ("quarantined", f"cannot be measured: {where(error)}"))
        return StudyResult(self._record(states), phantoms, new)

    def _baselines(self, analysis: Analysis) -> dict[str, float]:
        """Accepted values that held when the images were made."""
        key = condition_key(conditions_of(analysis))
        equipment = equipment_of(analysis, self._devices)
        rows = baselines_in_force(equipment, analysis.definition.id, key, acquired_at(analysis))
        return {name: row.value for name, row in rows.items()}

    def _store(
        self, outcome: Outcome, objects: Sequence[SpooledObject]
    ) -> tuple[int, list[str], dict[str, tuple[str, str]]]:
        """How many results are new, a line for each, and by hash what became of images whose result met a defect."""
        by_hash = {one.sha256: one for one in objects}
        stored: list[PhantomStudy] = []
        phantoms: list[str] = []
        faults: dict[str, tuple[str, str]] = {}
        new = 0
        for analysis in outcome.analyses:
            hashes = _hashes(analysis.series)
            used = [found for sha256 in hashes if (found := by_hash.get(sha256)) is not None]
            try:
                study, is_new = ingest_measurements(
                    analysis,
                    site=_site(used, self._settings),
                    received_at=max((one.received_at for one in used), default=None),
                    devices=self._devices,
                )
            except Error:
                raise
            except Exception as error:  # noqa: BLE001  a defect of ours meets one result, not all of the study
                reason = f"measured, but the result cannot be stored: {where(error)}"
                faults |= dict.fromkeys(hashes, ("quarantined", reason))
                continue
            stored.append(study)
            new += is_new
            phantoms.append(f"{analysis.definition.name}: {analysis.verdict}")
            folder = result_folder(self._settings.phantoms_dir, study)
            if not is_new and folder.exists():
                continue
            try:
                write_result(folder, analysis, self._page)
            except Exception as error:  # noqa: BLE001  the values are stored; the page can be made again
                faults |= dict.fromkeys(hashes, ("measured", f"its page could not be written: {where(error)}"))
        supersede_series(stored)
        return new, phantoms, faults

    def _record(self, states: dict[SpooledObject, tuple[str, str]]) -> list[Fate]:
        """Leave a row for each object in the store, so that the audit's counts add up."""
        parts = [
            ReceivedPart(
                sop_instance_uid=one.sop_instance_uid,
                sha256=one.sha256,
                size_bytes=one.size,
                received_at=one.received_at,
                state=state,
                reason=reason or None,
                kind=KIND,
                sop_class_uid=one.sop_class_uid or None,
                source=one.source,
                site=_site([one], self._settings),
                spool_id=one.id,
            )
            for one, (state, reason) in states.items()
        ]
        if not parts:
            return []
        return [
            (fate.spool_id, fate.state, fate.reason)
            for fate in self._writer.ingest_parts(parts).fates
            if fate.spool_id is not None
        ]


def _present(objects: Sequence[SpooledObject]) -> tuple[list[SpooledObject], dict[SpooledObject, tuple[str, str]]]:
    """Objects whose file is the one that was registered, and what is to be said of the others."""
    present: list[SpooledObject] = []
    states: dict[SpooledObject, tuple[str, str]] = {}
    for one in objects:
        try:
            same = one.path.stat().st_size == one.size
        except OSError as error:
            states[one] = ("quarantined", f"the file cannot be read ({error.strerror or type(error).__name__})")
            continue
        if same:
            present.append(one)
        else:
            states[one] = ("quarantined", "the file is not the one that was registered")
    return present, states


def _states(outcome: Outcome, objects: Sequence[SpooledObject]) -> dict[SpooledObject, tuple[str, str]]:
    """What became of each object: measured, beside the point, or impossible to read."""
    measured: set[str] = set()
    refused: dict[str, tuple[str, str]] = {}
    for analysis in outcome.analyses:
        for series in (analysis.series, *analysis.companions):
            measured.update(_hashes(series))
    for refusal in outcome.refused:
        # Where this program failed, the images wait to be measured again.
        state = "quarantined" if refusal.defect else "not_relevant"
        refused.update(dict.fromkeys(_hashes(refusal.series), (state, refusal.reason)))
    aside = {Path(name).name: reason for name, reason in outcome.left_aside}
    states = {}
    for one in objects:
        if one.sha256 in measured:
            states[one] = ("measured", "")
        elif one.sha256 in refused:
            states[one] = refused[one.sha256]
        elif (reason := aside.get(one.path.name)) is not None:
            states[one] = ("not_relevant" if reason.startswith("no image") else "quarantined", reason)
        else:
            states[one] = ("quarantined", "its pixels cannot be decoded, or it repeats an image with other bytes")
    return states


def _hashes(series: ImageSeries) -> list[str]:
    return [frame.sha256 for frame in series.frames]


def _site(objects: Sequence[SpooledObject], settings: Settings) -> str | None:
    """Site of the way in, as for dose objects."""
    default = None if settings.default_site == "Unassigned" else settings.default_site
    return next((site for one in objects if (site := site_of(one.source, settings.callers))), default)
