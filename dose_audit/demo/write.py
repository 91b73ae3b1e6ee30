"""The demonstration network on disk: a folder to send, a folder to scan, a zip to scan, and the tables beside
them.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dose_audit.demo.cohorts import COHORTS
from dose_audit.demo.generate import SEED, objects_of
from dose_audit.demo.network import DEVICES, SITES, device, site_of
from dose_audit.demo.plan import plan
from dose_audit.demo.planted import EXTRAS, PERIOD
from dose_audit.demo.summary import group_medians, truths_of

__all__ = ["NetworkFiles", "equipment_rows", "mapping_rows", "write_network"]

_ZIP_DATE = (2026, 7, 1, 0, 0, 0)
_APPROVED_ON = "2025-12-15"
_MAPPING_COLUMNS = (
    "site", "level", "station_name", "code_scheme", "code_value", "acquisition_protocol", "study_description",
    "examination", "approved_by", "approved_on",
)  # fmt: skip


@dataclass(slots=True)
class NetworkFiles:
    """What was written, and where.

    Attributes
    ----------
    listener, folder, archive : dict of str to Path
        By site name: folder to send by C-STORE; folder to scan; zip to scan.
    truth_json : Path
        Planted truths, group medians, numbers of exams and objects.
    mapping_csv : Path
        The exam mapping that the demonstration installs.
    equipment_csv : Path
        Which station and serial number stands at which site.
    object_count, exam_count : int
        Objects written; exams planned.
    """

    truth_json: Path
    mapping_csv: Path
    equipment_csv: Path
    listener: dict[str, Path] = field(default_factory=dict)
    folder: dict[str, Path] = field(default_factory=dict)
    archive: dict[str, Path] = field(default_factory=dict)
    object_count: int = 0
    exam_count: int = 0


def mapping_rows() -> list[dict[str, str]]:
    """Return the exam mapping: what a device says, to an examination.

    Both ways of saying it are used. CT and angiography are known by station, study description and, where the
    device names one, acquisition protocol (level ``exact``); the rest by the local procedure code
    (``coded_procedure``).
    """
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for cohort in (*COHORTS, *(extra.cohort for extra in EXTRAS)):
        if not cohort.examination:
            continue
        where = device(cohort.device)
        row = dict.fromkeys(_MAPPING_COLUMNS, "")
        row.update(
            site=site_of(where).name,
            examination=cohort.examination,
            approved_by="Demonstration",
            approved_on=_APPROVED_ON,
        )
        if where.kind in ("ct", "fluoroscopy"):
            names_protocol = not (where.kind == "ct" and where.style == "ge")
            row.update(
                level="exact",
                station_name=where.station_name,
                study_description=cohort.study_description,
                acquisition_protocol=cohort.acquisition_protocol if names_protocol else "",
            )
        else:
            row.update(level="coded_procedure", code_scheme="99DEMO", code_value=cohort.code)
        key = tuple(value for name, value in row.items() if name != "examination")
        rows.setdefault(key, row)
    return list(rows.values())


def equipment_rows() -> list[dict[str, str]]:
    """Return the device register: which device stands at which site, and what it is."""
    return [
        {
            "site": site_of(entry).name,
            "station_name": entry.station_name,
            "serial_number": entry.serial_number,
            "manufacturer": entry.manufacturer,
            "model_name": entry.model_name,
            "department": entry.department,
            "modality": entry.modality,
            "calling_aet": site_of(entry).calling_aet,
        }
        for entry in DEVICES
    ]


def write_network(
    out: Path,
    *,
    seed: int = SEED,
    scale: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> NetworkFiles:
    """Write the demonstration network.

    Parameters
    ----------
    out : Path
        Folder to write into; made when it is not there.
    seed, scale
        As for :func:`dose_audit.demo.generate.generate`.
    progress : callable, optional
        Called with the exams written so far and their number.

    Returns
    -------
    NetworkFiles
    """
    out.mkdir(parents=True, exist_ok=True)
    files = NetworkFiles(out / "truth.json", out / "exam_mapping.csv", out / "equipment.csv")
    sinks = {site.name: _sink(out, site.key, site.name, site.channel, files) for site in SITES}
    exams = plan(seed, scale)
    try:
        for done, exam in enumerate(exams, start=1):
            for generated in objects_of(exam):
                sinks[generated.site].write(generated.filename, generated.data)
                files.object_count += 1
            if progress is not None:
                progress(done, len(exams))
    finally:
        for sink in sinks.values():
            sink.close()
    files.exam_count = len(exams)
    _write_csv(files.mapping_csv, mapping_rows())
    _write_csv(files.equipment_csv, equipment_rows())
    truth = {
        "seed": seed,
        "scale": scale,
        "period": {"first": PERIOD[0].isoformat(), "last": PERIOD[1].isoformat()},
        "exams": files.exam_count,
        "objects": files.object_count,
        "planted": truths_of(exams),
        "groups": group_medians(exams),
    }
    files.truth_json.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return files


class _FolderSink:
    """Writes objects as files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def close(self) -> None:
        """Nothing is held open."""


class _ZipSink:
    """Writes objects into a zip archive with fixed dates, so that the same seed gives the same archive."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def write(self, name: str, data: bytes) -> None:
        entry = zipfile.ZipInfo(name, date_time=_ZIP_DATE)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        self.archive.writestr(entry, data)

    def close(self) -> None:
        self.archive.close()


def _sink(out: Path, key: str, name: str, channel: str, files: NetworkFiles) -> _FolderSink | _ZipSink:
    if channel == "zip":
        files.archive[name] = out / f"{key}.zip"
        return _ZipSink(files.archive[name])
    places = files.listener if channel == "listener" else files.folder
    places[name] = out / f"{key}-{'to-send' if channel == 'listener' else 'to-scan'}"
    return _FolderSink(places[name])


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
