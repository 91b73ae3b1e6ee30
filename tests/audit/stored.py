"""Writes the Parquet folder that the store keeps, from a few lines of a test: exams, events and objects with
defaults.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dose_audit.store.columns_layout import LAYOUT, TABLES, arrow_schema
from dose_audit.store.columns_manifest import CopiedFile, Manifest, file_sha256, write_manifest

_TEXTS = pa.list_(pa.string())
_MOMENT = pa.timestamp("us")

EXAMS = pa.schema(
    [
        ("exam_id", pa.int64()), ("study_datetime", _MOMENT), ("study_date", pa.date32()),
        ("site", pa.string()), ("equipment_id", pa.int64()), ("equipment", pa.string()),
        ("manufacturer", pa.string()), ("model_name", pa.string()), ("station_name", pa.string()),
        ("serial_number", pa.string()), ("software_versions", pa.string()), ("modality", pa.string()),
        ("study_description", pa.string()), ("requested_procedure_description", pa.string()),
        ("procedure_codes", _TEXTS), ("requested_procedure_codes", _TEXTS),
        ("acquisition_protocols", _TEXTS), ("target_regions", _TEXTS), ("sex", pa.string()),
        ("age_years", pa.float64()), ("weight_kg", pa.float64()), ("height_m", pa.float64()),
        ("pseudonym", pa.string()), ("is_phantom", pa.bool_()), ("is_phantom_reason", pa.string()),
        ("source_kinds", _TEXTS), ("ct_dlp_mgy_cm", pa.float64()), ("events_ct_dlp_mgy_cm", pa.float64()),
        ("ct_dlp_head_16cm_mgy_cm", pa.float64()), ("ct_dlp_body_32cm_mgy_cm", pa.float64()),
        ("kap_gy_cm2", pa.float64()), ("events_kap_gy_cm2", pa.float64()), ("dose_rp_mgy", pa.float64()),
        ("fluoro_time_s", pa.float64()), ("agd_left_mgy", pa.float64()), ("agd_right_mgy", pa.float64()),
        ("administered_activity_mbq", pa.float64()), ("event_count", pa.int32()),
        ("warning_codes", _TEXTS), ("received_at", _MOMENT), ("mapping_examination", pa.string()),
        ("peak_skin_dose_mgy", pa.float64()),
    ]
)  # fmt: skip

EVENTS = pa.schema(
    [
        ("exam_id", pa.int64()), ("event_index", pa.int32()), ("irradiation_event_uid", pa.string()),
        ("type", pa.string()), ("started_at", _MOMENT), ("acquisition_protocol", pa.string()),
        ("target_region", pa.string()), ("laterality", pa.string()), ("reason", pa.string()),
        ("ct_acquisition_type", pa.string()), ("ctdi_vol_mgy", pa.float64()),
        ("ctdi_phantom", pa.string()), ("dlp_mgy_cm", pa.float64()), ("scanning_length_mm", pa.float64()),
        ("kvp_kv", pa.float64()), ("kap_gy_cm2", pa.float64()), ("dose_rp_mgy", pa.float64()),
        ("plane", pa.string()), ("irradiation_event_type", pa.string()), ("agd_mgy", pa.float64()),
        ("compression_thickness_mm", pa.float64()), ("exposure_index", pa.float64()),
        ("target_exposure_index", pa.float64()), ("deviation_index", pa.float64()), ("view", pa.string()),
        ("exposure_mas", pa.float64()), ("water_equivalent_diameter_mm", pa.float64()),
        ("ssde_mgy", pa.float64()), ("administered_activity_mbq", pa.float64()),
        ("dose_check", pa.string()), ("computed_ssde_mgy", pa.float64()), ("computed_mgd_mgy", pa.float64()),
        ("computed_wed_mm", pa.float64()), ("anatomical_structure", pa.string()),
        ("radiopharmaceutical", pa.string()),
    ]
)  # fmt: skip

OBJECTS = pa.schema(
    [
        ("object_id", pa.int64()), ("received_at", _MOMENT), ("site", pa.string()),
        ("source", pa.string()), ("sop_class_uid", pa.string()), ("kind", pa.string()),
        ("state", pa.string()), ("reason", pa.string()), ("station_name", pa.string()),
        ("study_key", pa.string()), ("size_bytes", pa.int64()),
    ]
)  # fmt: skip


@dataclass
class StoredExams:
    """Rows of the three tables, grown exam by exam."""

    exams: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        modality: str,
        when: datetime | None,
        *,
        site: str = "North",
        equipment: str = "Scanner 1",
        acquisition_protocol: str = "Chest",
        events: list[dict[str, Any]] | None = None,
        state: str | None = "extracted",
        **values: Any,
    ) -> int:
        """Add an exam, its events and the object it came in; returns its exam_id."""
        exam_id = 1 + max((row["exam_id"] for row in self.exams), default=0)
        row = {
            "exam_id": exam_id,
            "study_datetime": when,
            "study_date": None if when is None else when.date(),
            "site": site,
            "equipment": equipment,
            "equipment_id": zlib.crc32(f"{site}|{equipment}".encode()),
            "station_name": equipment,
            "manufacturer": "Maker",
            "software_versions": "1.0",
            "modality": modality,
            "acquisition_protocols": [acquisition_protocol],
            "procedure_codes": [],
            "requested_procedure_codes": [],
            "target_regions": [],
            "warning_codes": [],
            "is_phantom": False,
            "age_years": 50.0,
            "received_at": when,
        }
        self.exams.append(row | values)
        for index, event in enumerate(events or [], start=1):
            kind = "ct" if modality == "CT" else "projection"
            base = {
                "exam_id": exam_id,
                "event_index": index,
                "type": kind,
                "acquisition_protocol": acquisition_protocol,
            }
            self.events.append(base | event)
        if state is not None:
            self.add_object(state, site=site, when=when, station_name=equipment)
        return exam_id

    def add_ct(
        self,
        when: datetime | None,
        dlp: float,
        *,
        ctdi: float | None = None,
        phantom: str = "body_32cm",
        localiser: bool = True,
        **values: Any,
    ) -> int:
        """Add a CT exam of one spiral, by default behind a localiser."""
        ctdi = dlp / 40.0 if ctdi is None else ctdi
        spiral = {
            "ct_acquisition_type": "spiral",
            "ctdi_vol_mgy": ctdi,
            "ctdi_phantom": phantom,
            "dlp_mgy_cm": dlp,
        }
        scout = {"ct_acquisition_type": "constant_angle", "ctdi_vol_mgy": 0.1, "ctdi_phantom": phantom}
        events = values.pop("events", [scout, spiral] if localiser else [spiral])
        return self.add("CT", when, events=events, ct_dlp_mgy_cm=dlp, event_count=len(events), **values)

    def add_object(
        self,
        state: str,
        *,
        reason: str | None = None,
        site: str = "North",
        when: datetime | None = None,
        **values: Any,
    ) -> None:
        """Add a received object that became no exam of its own."""
        row = {
            "object_id": len(self.objects) + 1,
            "received_at": when,
            "site": site,
            "state": state,
            "reason": reason,
        }
        self.objects.append(row | {"source": "folder", "kind": "ct_rdsr", "size_bytes": 1000} | values)

    def write(self, folder: Path) -> Path:
        """Write the three files and return the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows, schema in (
            ("exams", self.exams, EXAMS),
            ("events", self.events, EVENTS),
            ("objects", self.objects, OBJECTS),
        ):
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{name}.parquet")
        return folder

    def write_blocks(self, folder: Path, block_rows: int) -> Path:
        """Lay the rows out as the store's own refresh does; a file keeps its hash while its rows are the same."""
        manifest = Manifest(LAYOUT, block_rows, {name: {} for name in TABLES})
        tables = {
            "exams": ("exam_id", self.exams),
            "events": ("exam_id", self.events),
            "objects": ("object_id", self.objects),
        }
        for name, (key, rows) in tables.items():
            schema = arrow_schema(TABLES[name].columns)
            for block in sorted({(row[key] - 1) // block_rows for row in rows}):
                part = [row for row in rows if (row[key] - 1) // block_rows == block]
                path = folder / f"{name}.parquet" / f"{block:06d}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_pylist(part, schema=schema), path)
                file = CopiedFile(f"{path.parent.name}/{path.name}", len(part), len(part), file_sha256(path))
                manifest.files[name][str(block)] = file
        write_manifest(folder, manifest)
        return folder
