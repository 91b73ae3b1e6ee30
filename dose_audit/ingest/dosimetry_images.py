"""Patients' sizes from CT images that a site routes for it: Dw and SSDE of each irradiation event, beside the exam."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dose_audit.config import Settings
from dose_audit.extract.exam import CtEvent
from dose_audit.extract.slices import IMAGES
from dose_audit.measured import Measured

if TYPE_CHECKING:
    from dose_audit.dosimetry import SeriesSize
    from dose_audit.store.estimates import WaitingExam

__all__ = ["SIZE", "SizeImages", "size_estimates"]

SIZE = "size"
"""The word of a routing rule that has images kept for the patient's size; without such a rule none is looked at."""

_PHANTOM_CM = {"head_16cm": 16, "body_32cm": 32}
_MOST_IMAGES = 20_000


class SizeImages:
    """Finds the images of an exam in the spool.

    Parameters
    ----------
    settings : Settings
        Django must be set up for them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.wanted = any(route.to == SIZE for route in settings.routes)

    def of(self, exams: Sequence[WaitingExam]) -> dict[int, list[Path]]:
        """Files by exam; empty where the site asks for no sizes."""
        from dose_audit.ingest.run import open_spool
        from dose_audit.store.models import Exam, ReceivedObject

        ids = [item.id for item in exams if item.exam.modality == "CT" and not item.exam.patient.is_phantom]
        if not self.wanted or not ids:
            return {}
        studies = dict(Exam.objects.filter(pk__in=ids).values_list("study_instance_uid", "pk"))
        rows = ReceivedObject.objects.filter(study_instance_uid__in=list(studies), spool_id__isnull=False)
        numbers = list(rows.order_by("id").values_list("study_instance_uid", "spool_id")[:_MOST_IMAGES])
        found: dict[int, list[Path]] = {}
        with open_spool(self._settings) as spool:
            for study, number in numbers:
                spooled = spool.get(number)
                if spooled is not None and spooled.route == SIZE:
                    found.setdefault(studies[study], []).append(spooled.path)
        return found


def size_estimates(item: WaitingExam, images: Iterable[Path]) -> list[Measured]:
    """Dw and SSDE of an exam's events from its images.

    Parameters
    ----------
    item : WaitingExam
        As corrected by calibrations: the SSDE follows the CTDIvol of its events.
    images : iterable of Path

    Returns
    -------
    list of Measured
        ``water_equivalent_diameter`` and ``ssde``, ``details["event_index"]`` None where no event is the images'.

    Notes
    -----
    A series belongs to the event of its Irradiation Event UID, else to the one whose slices had its Series Instance UID
    or acquisition number, else, when the exam has one scan alone and there is one series, to that.
    """
    from dose_audit.dosimetry import ct_region, measure_series, series_ssde

    sizes = measure_series(images)
    scans = [event for event in item.exam.events if isinstance(event, CtEvent) and not event.reason]
    told = _told(item.id)
    found: list[Measured] = []
    for size in sizes:
        event = _event_of(size, scans, told, alone=len(sizes) == 1)
        index = event.index if event is not None else None
        found.append(replace(size.dw, details={"event_index": index}))
        if event is None or size.dw.value is None or event.ctdi_vol_mgy is None:
            continue
        (ssde,) = series_ssde(
            size,
            ctdi_vol_mgy=event.ctdi_vol_mgy,
            phantom_cm=_PHANTOM_CM.get(event.ctdi_phantom or ""),
            body_part="head" if ct_region(event) == "head" else "body",
        )
        found.append(replace(ssde, details={"event_index": index}))
    return _one_each(found)


def _told(exam: int) -> dict[int, dict[str, Any]]:
    """What slices said of each event: series and acquisition number."""
    from dose_audit.store.models import Event

    rests = Event.objects.filter(exam_id=exam).values_list("event_index", "rest")
    whole = {index: json.loads(rest) if isinstance(rest, str) else rest or {} for index, rest in rests}
    return {index: (rest.get("extra") or {}).get(IMAGES) or {} for index, rest in whole.items()}


def _event_of(
    size: SeriesSize, scans: Sequence[CtEvent], told: dict[int, dict[str, Any]], *, alone: bool
) -> CtEvent | None:
    if not size.images:
        return None
    image = size.images[0]
    if image.event_uid:
        return next((event for event in scans if event.irradiation_event_uid == image.event_uid), None)
    for name, value in (
        ("series_instance_uid", image.series_uid),
        ("acquisition_number", image.acquisition_number),
    ):
        same = [event for event in scans if value is not None and told.get(event.index, {}).get(name) == value]
        if len(same) == 1:
            return same[0]
    moving = [event for event in scans if event.ct_acquisition_type != "constant_angle"]
    return moving[0] if alone and len(moving) == 1 else None


def _one_each(results: Iterable[Measured]) -> list[Measured]:
    """One result of a name for an event: of several series the first that has a value."""
    kept: dict[tuple[Any, str], Measured] = {}
    for result in results:
        at = (result.details["event_index"], result.name)
        if at not in kept or (kept[at].value is None and result.value is not None):
            kept[at] = result
    return list(kept.values())
