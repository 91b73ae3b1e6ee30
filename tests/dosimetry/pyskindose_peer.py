"""PySkinDose on the same beams: its own phantom, geometry, corrections and tables, fed with what we read from a report.

Its reader refuses most real reports (a missing model, field area or final distance); its calculation does not need it.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pandas as pd

from dose_audit.dosimetry.skin.beam import Beam

__all__ = ["TABLE", "peer_peak_mgy"]

TABLE = 0.8
"""Transmission of table and mattress that the peer takes at any angle."""

# The peer's table and patient start at its head end and reach to the feet; this puts the beams into their middle.
_INTO_THE_TABLE_CM = 125.0


def peer_peak_mgy(beams: Sequence[Beam], folder: Path, *, table: float = TABLE, fine: bool = True) -> float:
    """Peak skin dose of beams on the peer's cylinder (40 cm by 20 cm), table and mattress (4 cm) as it has them.

    Parameters
    ----------
    beams : sequence of Beam
        In one order; all with one reference distance, for the peer has but one.
    folder : Path
        For its database of corrections.
    table : float
        Transmission of table and mattress.
    fine : bool
        Cells of 0.25 cm by 1 cm, else of 1 cm by 2 cm, in a tenth of the time.

    Returns
    -------
    float
        mGy.
    """
    from pyskindose.analyze_data import analyze_data
    from pyskindose.settings import PyskindoseSettings

    if len({round(beam.reference_mm) for beam in beams}) != 1:
        raise ValueError("the peer takes the first event's reference distance for all")
    home = files("pyskindose")
    chosen = json.loads((home / "settings_example.json").read_text())
    chosen.update(mode="calculate_dose", output_format="dict", k_tab_val=table, estimate_k_tab=True)
    chosen["corrections_db_path"] = str(folder / "corrections.db")
    chosen["plot"]["notebook_mode"] = False
    chosen["phantom"]["dimension"].update(
        cylinder_length=250, table_length=250, pad_length=250, cylinder_resolution="dense" if fine else "sparse"
    )
    normalization = (home / "normalization_settings.json").read_text()
    middle = sum(beam.pose.table_mm[2] for beam in beams) / len(beams) / 10.0
    frame = pd.DataFrame([_row(beam, middle) for beam in beams])
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        settings = PyskindoseSettings(
            settings=json.dumps(chosen), normalization_settings=normalization, file_result_output_path=folder
        )
        found = analyze_data(frame, settings)
    return float(max(found["dose_map"]))


def _row(beam: Beam, middle_cm: float) -> dict[str, object]:
    """One event in the peer's words: centimetres, x to the left, y down, z to the head."""
    detector_cm = beam.source_isocentre_mm / 10.0 + 40.0
    scale = detector_cm / (beam.reference_mm / 10.0)
    return {
        "model": "peer",
        "DSD": detector_cm,
        "DSI": beam.source_isocentre_mm / 10.0,
        "DID": 40.0,
        "DSIRP": beam.reference_mm / 10.0,
        "acquisition_type": "Fluoroscopy",
        "acquisition_plane": "Single Plane",
        "Tx": beam.pose.table_mm[0] / 10.0,
        "Ty": beam.pose.table_mm[1] / 10.0,
        "Tz": beam.pose.table_mm[2] / 10.0 - middle_cm + _INTO_THE_TABLE_CM,
        "At1": 0,
        "At2": 0,
        "At3": 0,
        "filter_thickness_Cu": beam.quality.copper_mm,
        "filter_thickness_Al": beam.quality.aluminium_mm - 3.1,
        "Ap1": beam.pose.primary_deg,
        # Its secondary angle turns the tube to the head; DICOM's turns the detector there.
        "Ap2": -beam.pose.secondary_deg,
        "Ap3": 0,
        "DSL": 40.0,
        "FS_lat": beam.field_mm[1] / 10.0 * scale,
        "FS_long": beam.field_mm[0] / 10.0 * scale,
        "kVp": round(beam.quality.kvp_kv),
        "K_IRP": beam.kerma_mgy,
    }
