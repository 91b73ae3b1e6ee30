"""Cases of real images, where ``../shared/real`` is there: truth is known for reference objects only."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from compare.case import Case, Quantity

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "real"
Prepared = tuple[Path, list[Quantity]]

_CATPHAN = [
    # The values that the documentation of pylinac gives for this set; the thickness that its header gives.
    *(Quantity(f"HU {name}", "HU", value, 3.0) for name, value in (
        ("air", -998.0), ("PMP", -200.0), ("LDPE", -102.0), ("polystyrene", -45.0), ("Acrylic", 115.0), ("Delrin", 340.0),
        ("Teflon", 997.0))),
    Quantity("node distance, mean", "mm", 50.0, 0.1),
    Quantity("slice thickness", "mm", 2.5, 0.1),
    Quantity("roll", "°"),
    Quantity("uniformity, largest difference", "HU"),
    Quantity("MTF50 of the bars", "/mm"),
    Quantity("rMTF50 of the bars", "/mm"),
]  # fmt: skip
_ACR = [
    Quantity("diameter 0°", "mm", 190.0, 2.0),
    Quantity("diameter 90°", "mm", 190.0, 2.0),
    Quantity("slice thickness", "mm", 5.0, 0.7),
    Quantity("bar difference, slice 1", "mm"),
    Quantity("bar difference, slice 11", "mm"),
    Quantity("PIU", "%"),
    Quantity("PSG", "%"),
    Quantity("SNR"),
    Quantity("LCD spokes"),
    Quantity("smallest holes resolved", "mm"),
]
_LEEDS = [
    Quantity("contrast discs seen"),
    Quantity("MTF50 of the bars", "/mm"),
    Quantity("lead square, clockwise from 3 o'clock", "°"),
]
# Folder of the reference objects, what its Image Comments plant.
_REFERENCE = {
    "series010": ("Digital reference object, diameter 190 mm", [
        Quantity("diameter 0°", "mm", 190.0, 0.3), Quantity("diameter 90°", "mm", 190.0, 0.3)]),
    "series011": ("Digital reference object, SNR 200, PIU 68 %, ghosting 0.5 %", [
        Quantity("SNR", "1", 200.0, 0.03, True), Quantity("PIU", "%", 68.0, 1.0), Quantity("PSG", "%", 0.5, 0.2)]),
}  # fmt: skip


def _nominal(asked: list[Quantity]) -> list[Quantity]:
    """The same, their truth not one that was computed."""
    return [replace(quantity, computed=False) for quantity in asked]


def _there(_: Path, *, source: Path, asked: list[Quantity]) -> Prepared:
    return source, list(asked)


def _alone(folder: Path, *, source: Path, asked: list[Quantity]) -> Prepared:
    """One image of a folder of several, for the time of the case."""
    shutil.copyfile(source, folder / source.name)
    return folder, list(asked)


def real_cases(real: Path = REAL) -> tuple[Case, ...]:
    """All cases whose images are there; none without the folder."""
    if not real.is_dir():
        return ()
    cases = [
        Case("real-catphan504", "CatPhan 504, real", "Cone-beam CT, 64 slices, an RTSTRUCT beside them", "catphan504",
             ("ours", "pylinac"), partial(_there, source=real / "ct-catphan504-cbct", asked=_nominal(_CATPHAN)), 0,
             "The column of truth holds what pylinac's documentation says of this set (HU), the machined 50 mm and the"
             " thickness of the header.")
    ]  # fmt: skip
    for place, folder in enumerate(sorted((real / "mr-acr").iterdir())):
        cases.append(Case(f"real-{folder.name}", "ACR MRI, large, real", folder.name, "acr_mri", ("ours", "pylinac", "hazen"),
                          partial(_there, source=folder, asked=_nominal(_ACR)), 0 if place == 0 else 1,
                          "The column of truth holds nominal values with the limits of the ACR." if place == 0 else "",
                          ))  # fmt: skip
    for name in ("GE_Signa_3T_T1", "PhilipsAchieva", "Siemens_Aera_1.5T_T1"):
        cases.append(Case(f"real-lcd-{name}", "ACR MRI, large, real", f"{name}, hazen's low-contrast task by itself",
                          "acr_lcd", ("hazen",),
                          partial(_there, source=real / "mr-acr" / name, asked=[Quantity("LCD spokes")]), 2))  # fmt: skip
    for name, (title, asked) in _REFERENCE.items():
        cases.append(Case(f"real-{name}", "Reference objects (WAD-QC)", title, "acr_mri", ("ours", "pylinac", "hazen"),
                          partial(_there, source=real / "mr-acr-dro" / name, asked=asked)))  # fmt: skip
    for path in sorted((real / "dx-leeds-tor18").glob("*.dcm")):
        cases.append(Case(f"real-leeds-{path.stem}", "Leeds TOR 18FG, real", path.name, "leeds", ("ours", "pylinac"),
                          partial(_alone, source=path, asked=_LEEDS)))  # fmt: skip
    return tuple(cases)
