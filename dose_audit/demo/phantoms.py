"""Half a year of phantom runs on two of the network's CT scanners, with a trap in them: a dose cut that the images paid.

The water phantom is analytic and goes the way of real images: scanned as phantoms, measured, accepted as baseline.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.config import Settings
from dose_audit.demo.network import device, site_of

if TYPE_CHECKING:
    from dose_audit.ingest import PhantomSummary

__all__ = ["PHANTOM_RUNS", "PhantomDevice", "measure_phantoms", "write_phantoms"]

_MATRIX, _FIELD_MM, _STEP_MM = 160, 300.0, 5.0
_RUNS, _ACCEPTED, _EVERY_DAYS = 12, 8, 14
_FIRST = datetime(2026, 1, 12, 8, 5)


@dataclass(frozen=True, slots=True)
class PhantomDevice:
    """How one scanner images the phantom: its CTDIvol, the noise there, and what is done to the dose from which run on."""

    key: str
    ctdi_vol_mgy: float
    noise_hu: float
    cut_from: int | None = None
    cut_to: float = 1.0
    repeat_on: int | None = None


PHANTOM_RUNS = (
    PhantomDevice("north-ct-1", ctdi_vol_mgy=12.0, noise_hu=4.0, repeat_on=9),
    # The planted trap: 35 % less dose, nothing else changed, so a quarter more noise.
    PhantomDevice("south-ct-1", ctdi_vol_mgy=14.0, noise_hu=4.2, cut_from=8, cut_to=0.65),
)
NEVER_DONE = "west-ct-1"
"""A scanner whose phantom is on the schedule and was never scanned."""


def write_phantoms(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Path]:
    """Write the runs of every scanner; those to be accepted as baseline apart from the later ones.

    Parameters
    ----------
    folder : Path
    progress : callable, optional
        Called with runs written and their total.

    Returns
    -------
    dict of str to Path
        ``accepted`` and ``later``, each with a folder a site.
    """
    from dose_audit.phantom.digital import recipe, slice_positions, write_series

    water = recipe("water")
    spacing = _FIELD_MM / _MATRIX
    small = replace(
        water.acquisition,
        shape=(_MATRIX, _MATRIX),
        spacing_mm=(spacing, spacing),
        z_mm=slice_positions(-2 * _STEP_MM, 2 * _STEP_MM, _STEP_MM),
    )
    total, done = len(PHANTOM_RUNS) * _RUNS, 0
    for number, one in enumerate(PHANTOM_RUNS):
        made = device(one.key)
        for run in range(_RUNS):
            share = one.cut_to if one.cut_from is not None and run >= one.cut_from else 1.0
            header = {
                **small.header,
                "CTDIvol": round(one.ctdi_vol_mgy * share, 2),
                "Manufacturer": made.manufacturer,
                "ManufacturerModelName": made.model_name,
                "DeviceSerialNumber": made.serial_number,
                "SoftwareVersions": made.software_versions,
                "InstitutionName": site_of(made).name,
            }
            acquisition = replace(small, header=header, noise=replace(small.noise, sd=one.noise_hu / math.sqrt(share)))
            at = _FIRST + timedelta(days=_EVERY_DAYS * run)
            part = folder / ("accepted" if run < _ACCEPTED else "later") / site_of(made).key
            seed = 1000 * number + 10 * run
            if run == one.repeat_on:
                # Set up beside the table's edge: cupped images that fail, and a second scan that passes.
                spoilt = replace(acquisition, effects=replace(acquisition.effects, cupping_hu=14.0))
                write_series(
                    part / f"{one.key}-{run:02d}-first", water, acquisition=spoilt, seed=seed + 1,
                    acquired=at - timedelta(minutes=20), station=made.station_name,
                )  # fmt: skip
            write_series(
                part / f"{one.key}-{run:02d}", water, acquisition=acquisition, seed=seed, acquired=at,
                station=made.station_name,
            )  # fmt: skip
            done += 1
            progress(done, total)
    return {name: folder / name for name in ("accepted", "later")}


def measure_phantoms(
    settings: Settings, folders: dict[str, Path], progress: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Scan and measure the runs; accept the first ones as baseline and put the phantom on a schedule.

    Parameters
    ----------
    settings : Settings
    folders : dict
        As `write_phantoms` left them.
    progress : callable, optional
        Called with runs measured and their total.

    Returns
    -------
    int
        Phantom results in the store.
    """
    from dose_audit.demo.network import SITES
    from dose_audit.ingest import run_phantoms, scan_paths
    from dose_audit.report.phantom_page import phantom_page
    from dose_audit.store.settings import prepare

    prepare(settings)
    total = len(PHANTOM_RUNS) * _RUNS + sum(one.repeat_on is not None for one in PHANTOM_RUNS)
    results = 0
    for name in ("accepted", "later"):
        for site in SITES:
            part = folders[name] / site.key
            if part.is_dir():
                scan_paths(settings, [part], site=site.name, phantom=True)
        before = results
        # Our own images need no process of their own.
        summary = run_phantoms(
            settings,
            page=phantom_page,
            own_process=False,
            progress=partial(_tell, progress, before, total),
        )
        results += summary.analyses
        if name == "accepted":
            _accept()
    return results


def _tell(progress: Callable[[int, int], None], before: int, total: int, now: PhantomSummary) -> None:
    progress(before + now.analyses, total)


def _accept() -> None:
    """Baselines from all runs so far, and a schedule, as a medical physics expert would set them."""
    from dose_audit.store.models import Equipment, PhantomStudy
    from dose_audit.store.phantoms import BaselineError, set_baseline, set_task

    role = "medical physics expert"
    trends: dict[tuple[int, str, str], list[int]] = {}
    for pk, *trend in PhantomStudy.objects.filter(current=True).values_list(
        "pk", "equipment_id", "definition", "condition_key"
    ):
        trends.setdefault((trend[0], trend[1], trend[2]), []).append(pk)
    definition = None
    for (equipment, definition, conditions), runs in trends.items():
        try:
            set_baseline(equipment, definition, conditions, studies=runs, role=role, reason="first runs of the phantom")
        except BaselineError:
            continue  # the demonstration was run before in this home: its baselines stand
        set_task(equipment, definition, _EVERY_DAYS, since=date(2026, 1, 1), role=role, grace_days=7)
    other = Equipment.objects.filter(serial_number=device(NEVER_DONE).serial_number).first()
    if other is not None and definition is not None:
        set_task(other.pk, definition, _EVERY_DAYS, since=date(2026, 4, 1), role=role, grace_days=7)
