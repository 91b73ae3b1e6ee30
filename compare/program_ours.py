"""dose-audit on one case, through its public functions; a refusal and a doubt are told as they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from answer import Answer, Task, serve
from numpy.typing import NDArray

from dose_audit.image_quality import BarGroup, bar_mtf_curve, edge_mtf, noise_power_spectrum
from dose_audit.measured import Measured
from dose_audit.phantom.analyse import analyse

# Name of a measurement in the phantom room: quantity of the table.
_CATPHAN = {
    "hu.polystyrene": "HU polystyrene",
    "hu.air": "HU air",
    "hu.pmp": "HU PMP",
    "hu.ldpe": "HU LDPE",
    "hu.acrylic": "HU Acrylic",
    "hu.delrin": "HU Delrin",
    "hu.teflon": "HU Teflon",
    "node_distance.mean": "node distance, mean",
    "slice_thickness": "slice thickness",
    "uniformity": "uniformity, largest difference",
    "noise": "noise SD",
    "nps_f_av": "NPS f_av",
    "mtf50": "MTF50 of the bars",
}
_ACR_MRI = {
    "diameter_slice5_horizontal": "diameter 0°",
    "diameter_slice5_vertical": "diameter 90°",
    "diameter_horizontal": "diameter 0°",  # of a uniform slice by itself
    "diameter_vertical": "diameter 90°",
    "slice_thickness": "slice thickness",
    "slice_position_1": "bar difference, slice 1",
    "slice_position_11": "bar difference, slice 11",
    "snr": "SNR",
    "piu": "PIU",
    "psg": "PSG",
    "low_contrast_total": "LCD spokes",
    "resolution_rows": "smallest holes resolved",
}
_LEEDS = {
    "low_contrast_visible": "contrast discs seen",
    "mtf50": "MTF50 of the bars",
}


def _measured(answer: Answer, quantity: str, one: Measured) -> None:
    if one.value is None:
        answer.refuse(quantity, one.reason)
    else:
        answer.give(quantity, one.value, doubt=one.reason if one.status == "suspect" else "")


def _image(folder: Path) -> tuple[NDArray[np.float64], dict[str, Any]]:
    return np.load(folder / "image.npy"), json.loads((folder / "input.json").read_text())


def edge(folder: Path, answer: Answer) -> None:
    image, told = _image(folder)
    curve = edge_mtf(image, told["spacing_mm"])
    _measured(answer, "MTF50", curve.mtf50)
    _measured(answer, "MTF10", curve.mtf10)
    for f in told["frequencies_per_mm"]:
        _measured(answer, f"MTF at {f:g} /mm", curve.at(f))


def bars(folder: Path, answer: Answer) -> None:
    image, told = _image(folder)
    row_mm, column_mm = told["spacing_mm"]

    def region(place: dict[str, Any]) -> NDArray[np.float64]:
        row, column = place["row_column"]
        half_r, half_c = place["along_mm"] / 2 / row_mm, place["across_mm"] / 2 / column_mm
        return image[round(row - half_r) : round(row + half_r) + 1, round(column - half_c) : round(column + half_c) + 1]

    groups = [BarGroup(group["frequency_per_mm"], region(group)) for group in told["groups"]]
    found = bar_mtf_curve(groups, region(told["solid"]), region(told["gap"]), (row_mm, column_mm))
    for group, one in zip(groups, found, strict=True):
        _measured(answer, f"MTF at {group.frequency_per_mm:g} /mm", one)


def nps(folder: Path, answer: Answer) -> None:
    image, told = _image(folder)
    found = noise_power_spectrum(image, told["spacing_mm"], roi_size=told["roi_size"])
    if found.integral.value is None:
        answer.refuse("integral over variance", found.integral.reason)
    else:
        answer.give("integral over variance", found.integral.value / told["variance"])
    _measured(answer, "f_av", found.f_av)
    if not told["white"]:
        _measured(answer, "f_peak", found.f_peak)


def _phantom(task: str, folder: Path, answer: Answer, names: Mapping[str, str]) -> Any:
    """Analyse a folder and give what the table asks for; the analysis, or None where nothing was recognised."""
    outcome = analyse(folder)
    for refusal in outcome.refused:
        answer.remarks.append(f"refused a series: {refusal.reason}")
    if not outcome.analyses:
        answer.refuse(task, "; ".join(one.reason for one in outcome.refused) or "no images")
        return None
    analysis = outcome.analyses[0]
    answer.remarks.append(f"recognised as {analysis.definition.id}")
    for one in analysis.measurements:
        quantity = names.get(one.name)
        if quantity is not None and quantity not in answer.values:
            _measured(answer, quantity, one.measured)
    return analysis


def catphan504(folder: Path, answer: Answer) -> None:
    analysis = _phantom("catphan504", folder, answer, _CATPHAN)
    if analysis is not None:
        answer.give("roll", analysis.pose.roll_deg, doubt=analysis.pose.reason)


def acr_mri(folder: Path, answer: Answer) -> None:
    _phantom("acr_mri", folder, answer, _ACR_MRI)


def leeds(folder: Path, answer: Answer) -> None:
    analysis = _phantom("leeds", folder, answer, _LEEDS)
    if analysis is not None:
        angle = analysis.pose.angle_on_screen(0.0) % 360.0
        answer.give("lead square, clockwise from 3 o'clock", angle, doubt=analysis.pose.reason)


TASKS: dict[str, Task] = {
    "edge": edge,
    "bars": bars,
    "nps": nps,
    "catphan504": catphan504,
    "acr_mri": acr_mri,
    "leeds": leeds,
}

if __name__ == "__main__":
    sys.exit(serve(f"dose-audit {version('dose-audit')}", TASKS))
