"""Make the beam quality table of the skin dose room with SpekPy: kV, total aluminium and added copper to the
half-value layer (mm Al) and the ratio of mass energy-absorption coefficients of water and air.

SpekPy is not a dependency of this project: ``python -m venv /tmp/hvl && /tmp/hvl/bin/pip install spekpy==2.5.4``, then
``/tmp/hvl/bin/python scripts/make_hvl_tables.py``. It takes about a minute and writes one CSV of package data.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np

ANODE_ANGLE_DEG = 11
PHYSICS = "casim"
KVP_KV = range(40, 151, 5)
ALUMINIUM_MM = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0)
COPPER_MM = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

TABLE = Path(__file__).resolve().parents[1] / "dose_audit" / "dosimetry" / "skin" / "data" / "hvl_tungsten_11deg.csv"


def attenuation(spekpy: Any, bare: Any, material: str, probe_mm: float) -> np.ndarray:
    """Linear attenuation coefficient (1/mm) in the spectrum's own bins, from SpekPy's filter of a thin sheet."""
    behind = spekpy.Spek.clone(bare).filter(material, probe_mm)
    with np.errstate(divide="ignore", invalid="ignore"):
        coefficient = -np.log(behind.get_spectrum()[1] / bare.get_spectrum()[1]) / probe_mm
    return np.where(np.isfinite(coefficient), coefficient, 0.0)


def half_value_layer(kerma: np.ndarray, aluminium: np.ndarray) -> float:
    """Thickness of aluminium (mm) that halves the air kerma of a spectrum, by bisection."""
    low, high = 0.0, 40.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if float((kerma * np.exp(-aluminium * middle)).sum()) > kerma.sum() / 2:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def rows(spekpy: Any) -> list[tuple[int, float, float, float, float]]:
    """One row a beam: (kV, mm Al in all, mm Cu, half-value layer in mm Al, water-to-air ratio)."""
    table = []
    for kvp in KVP_KV:
        bare = spekpy.Spek(kvp=kvp, th=ANODE_ANGLE_DEG, dk=0.5, physics=PHYSICS)
        energy, fluence = bare.get_spectrum()
        in_aluminium = attenuation(spekpy, bare, "Al", 0.01)
        in_copper = attenuation(spekpy, bare, "Cu", 0.001)
        to_air = bare.muen_air_data.get_muen_over_rho_air(energy)
        to_water = bare.muen_water_data.get_muen_over_rho_water(energy)
        for aluminium in ALUMINIUM_MM:
            for copper in COPPER_MM:
                beam = fluence * energy * np.exp(-in_aluminium * aluminium - in_copper * copper)
                hvl = half_value_layer(beam * to_air, in_aluminium)
                ratio = float((beam * to_water).sum() / (beam * to_air).sum())
                table.append((kvp, aluminium, copper, round(hvl, 4), round(ratio, 5)))
        check = spekpy.Spek.clone(bare).multi_filter([("Al", 3.0), ("Cu", 0.2)])
        mine = next(row[3] for row in table if row[:3] == (kvp, 3.0, 0.2))
        if not math.isclose(mine, float(check.get_hvl1()), rel_tol=2e-3):
            raise SystemExit(f"{kvp} kV: {mine} differs from SpekPy's own half-value layer {check.get_hvl1()}")
    return table


def main() -> None:
    """Write the table."""
    import spekpy

    with TABLE.open("w", newline="", encoding="utf-8") as file:
        file.write(
            f"# SpekPy {spekpy.__version__}, physics {PHYSICS}, tungsten anode at {ANODE_ANGLE_DEG} deg, 0.5 keV bins; "
            "made by scripts/make_hvl_tables.py\n"
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kvp_kv", "total_aluminium_mm", "added_copper_mm", "hvl_mm_al", "muen_water_to_air"])
        writer.writerows(rows(spekpy))


if __name__ == "__main__":
    main()
