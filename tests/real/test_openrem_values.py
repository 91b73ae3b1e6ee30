"""Replay of an independent peer: what OpenREM's own tests assert on the real dose objects, held against our
reading.

Every assertion is either held, or listed in `OURS_IS_RIGHT` with the reason, or no value of an object at all
(`openrem_paths.NOT_A_VALUE`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dose_audit.extract import NotDose, ReadOptions, merge_parts, read_part
from tests.real.openrem_getters import Reading
from tests.real.openrem_paths import FORCED_ROWS, NOT_A_VALUE, find, plain_path

KEEP = ReadOptions(with_identifiers=True, phantom_patterns=("*qa*",))
DROP = ReadOptions()

# Terms of the record for the words that OpenREM stores.
WORDS = {
    "Constant Angle Acquisition": "constant_angle",
    "Spiral Acquisition": "spiral",
    "Stationary Acquisition": ("stationary", "stationary_acquisition"),
    "Sequenced Acquisition": "sequenced",
    "IEC Body Dosimetry Phantom": "body_32cm",
    "IEC Head Dosimetry Phantom": "head_16cm",
    "Fluoroscopy": "fluoroscopy",
    "Rotational Acquisition": "rotational",
    "Single Plane": "single",
    "Device": "device",
    "Left": "left",
    "Right": "right",
    "Left breast": "left",
    "Right breast": "right",
    "Right and left": "both",
    "Fixed Grid": "fixed",
    "111641": "fixed",
    "Tungsten or Tungsten compound": "W",
    "Rhodium or Rhodium compound": "Rh",
    "Aluminum or Aluminum compound": "Al",
    "Copper or Copper compound": "Cu",
    "Strip filter": "strip",
}

# (file or scenario, path as cleaned) → why ours is right.
_SHUTTERS = (
    "the left and right shutters bound the field's width, top and bottom its height: the detector of this "
    "report has an X side of 380 mm and a Y side of 300 mm, and PS3.16 defines 113788 along the columns; "
    "the area is the same"
)
_EVENT = "projectionxrayradiationdose_set.irradeventxraydata_set[0].irradeventxraysourcedata_set."
OURS_IS_RIGHT: dict[tuple[str, str], str] = {
    ("RF-RDSR-Philips_Allura.dcm", _EVENT + "collimated_field_height"): _SHUTTERS,
    ("RF-RDSR-Philips_Allura.dcm", _EVENT + "collimated_field_width"): _SHUTTERS,
    (
        "NM-PetIm-Siemens.dcm",
        "modality_type",
    ): "the image's Modality is PT; OpenREM has one type for NM and PET",
    (
        "NM-RRDSR-Siemens.dcm",
        "modality_type",
    ): "Associated Procedure is a PET study by its code; OpenREM has one type",
}

IDENTIFIERS = re.compile(r"patientmoduleattr_set\.patient_(name|id|birth_date)$")


def expected_assertions(expected_dir: Path) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Every assertion with its key and the files imported before it."""
    table = json.loads((expected_dir / "dose_openrem.json").read_text("utf-8"))
    found = []
    for name, assertions in table.items():
        if name == "__about__":
            continue
        for assertion in assertions:
            files = tuple(assertion["imports"]) if "imports" in assertion else tuple(name.split("+"))
            found.append((name, files, assertion))
    return found


@cache
def _parts(folder: Path, files: tuple[str, ...], options: ReadOptions) -> tuple[Any, ...]:
    return tuple(read_part(folder / name, options=options) for name in files)


@cache
def reading_of(folder: Path, files: tuple[str, ...]) -> Reading | None:
    """Our reading of files imported one after the other; `None` when they hold no dose."""
    kept, dropped = (
        [part for part in _parts(folder, files, options) if not isinstance(part, NotDose)] for options in (KEEP, DROP)
    )
    if not kept:
        return None
    studies: dict[str | None, list[Any]] = {}
    for part in kept:
        studies.setdefault(part.study_instance_uid, []).append(part)
    first = next(iter(studies))
    exam = merge_parts(studies[first])
    anonymous = merge_parts([part for part in dropped if part.study_instance_uid == first])
    # Content order is OpenREM's order of events; merging puts them in time order.
    events = list(kept[0].events) if len(kept) == 1 else list(exam.events)
    return Reading(exam, events, anonymous, len(studies))


def same(expected: Any, ours: Any, path: str) -> bool:
    """Whether our value says what the peer's does: numbers to 1e-6, terms by their words, text as it is."""
    if path.endswith("not_patient_indicator"):
        return (expected is None) == (ours is None)
    if path.endswith("patient_age"):
        years = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
        sent = int(expected[:3]) * years[expected[3]]
        return ours is not None and sent <= ours + 0.05 and ours < sent + years[expected[3]]
    if expected is None or ours is None:
        return expected is ours
    if isinstance(expected, bool):
        return expected == ours
    if isinstance(expected, int | float) and isinstance(ours, int | float):
        return math.isclose(expected, ours, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(expected, list):
        return sorted(expected) == sorted(ours)
    if isinstance(ours, str) and re.fullmatch(r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d+", str(expected)):
        return expected.rstrip("0").rstrip(".") == ours
    term = WORDS.get(expected, expected)
    return ours in term if isinstance(term, tuple) else ours in (expected, term)


def check(folder: Path, name: str, files: tuple[str, ...], assertion: dict[str, Any]) -> tuple[str, str]:
    """Outcome of one assertion (held, failed, listed, absent, no value) and what to say of it."""
    path = plain_path(assertion["path"])
    for pattern, reason in NOT_A_VALUE:
        if re.search(pattern, path):
            return "no value", reason
    if FORCED_ROWS.search(name):
        return "no value", "rows that the peer's test makes by force"
    if not all((folder / file).is_file() for file in files):
        return "absent", name
    if path.startswith("response.context"):
        path += " " + assertion["what"].removeprefix("RF detail totals table: ")
    row = find(path)
    if row is None:
        return "failed", f"{name}: no row for {path}"
    reading = reading_of(folder, files)
    if reading is None:
        ours = 0 if path.endswith("count()") else None
    else:
        if IDENTIFIERS.search(path) and assertion["value"] is None:
            reading = Reading(reading.anonymous, reading.anonymous.events, reading.anonymous, reading.exams)
        try:
            ours = row[0](reading, row[1])
        except (AttributeError, IndexError, KeyError, StopIteration, TypeError) as error:
            ours = f"nothing ({type(error).__name__}: {error})"
    if assertion.get("pii") == "pii_stored_hashed" and isinstance(ours, str):
        ours = hashlib.sha256(ours.encode()).hexdigest()
    if same(assertion["value"], ours, path):
        return "held", ""
    if (name, path) in OURS_IS_RIGHT:
        return "listed", OURS_IS_RIGHT[name, path]
    return "failed", f"{name}: {path}: OpenREM {assertion['value']!r}, ours {ours!r}"


def test_every_value_of_the_peer_is_ours_or_listed(real_dir: Path, expected_dir: Path) -> None:
    outcomes: dict[str, list[str]] = {"held": [], "failed": [], "listed": [], "absent": [], "no value": []}
    for name, files, assertion in expected_assertions(expected_dir):
        outcome, words = check(real_dir / "dose", name, files, assertion)
        outcomes[outcome].append(words)
    tried = sum(len(outcomes[kind]) for kind in ("held", "failed", "listed"))
    print({kind: len(found) for kind, found in outcomes.items()})
    assert tried > 700
    assert not outcomes["failed"], "\n".join(outcomes["failed"])
    assert len(outcomes["held"]) >= 0.995 * tried


@pytest.mark.parametrize("reason", sorted(set(OURS_IS_RIGHT.values())) or ["none"])
def test_each_exception_says_why(reason: str) -> None:
    assert reason == "none" or len(reason.split()) >= 6
