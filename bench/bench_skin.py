"""Peak skin dose, map and uncertainty of whole exams: time from exam record to result.

``python -m bench.bench_skin`` prints the table. The 89-event angiography report is read from ``../shared/real`` where that
is; exams of this benchmark's own, still and rotating, are there always.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from dose_audit.dosimetry.skin import Budget, skin_dose
from dose_audit.extract import read_exam
from dose_audit.extract.exam import Equipment, Exam, Filter, ProjectionEvent

__all__ = ["made", "main"]

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "real" / "dose" / "RF-RDSR-Philips_Azurion.dcm"
ROUNDS = 5
CERTAIN = Budget(0, 0, 0, 0, 0, 0, 0)


def made(count: int, *, rotations: int = 0) -> Exam:
    """An exam of so many fluoroscopy runs from many sides, the first of them rotations over 200°."""
    events = [
        ProjectionEvent(
            index=number + 1,
            plane="single",
            irradiation_event_type="rotational" if number < rotations else "fluoroscopy",
            dose_rp_mgy=5.0,
            kap_gy_cm2=0.5,
            kvp_kv=80.0 + number % 30,
            filters=[Filter(type="strip", material="Cu", min_mm=0.3, max_mm=0.3)],
            primary_angle_deg=100.0 if number < rotations else float(number * 7 % 70 - 35),
            primary_end_angle_deg=-100.0 if number < rotations else None,
            secondary_angle_deg=0.0 if number < rotations else float(number * 11 % 50 - 25),
            table_longitudinal_mm=float(number % 9 * 10 - 40),
            table_lateral_mm=float(700 + number % 13 * 10),
            table_height_mm=150.0,
            source_isocentre_mm=765.0,
            source_detector_mm=1150.0,
            reference_point="15cm from Isocenter toward Source",
        )
        for number in range(count)
    ]
    return Exam(modality="RF", equipment=Equipment(manufacturer="Siemens", model_name="AXIOM-Artis"), events=events)


def main() -> int:
    """Measure and print."""
    exams = {
        "made, 89 events": made(89),
        "made, 89 events, 6 rotations": made(89, rotations=6),
        "made, 1000 events": made(1000),
    }
    if REAL.is_file():
        exams = {"Azurion report, 89 events": read_exam(REAL), **exams}
    else:
        print(f"{REAL.name} is not there: only made exams")
    print(f"{'exam':32} {'peak mGy':>9} {'map ms':>9} {'with uncertainty ms':>20}")
    for name, exam in exams.items():
        peak = skin_dose(exam).peak
        times = [statistics.median(_taken(exam, budget) for _ in range(ROUNDS)) for budget in (CERTAIN, None)]
        shown = "–" if peak.value is None else f"{peak.value:.3g}"
        print(f"{name:32} {shown:>9} {1000 * times[0]:9.0f} {1000 * times[1]:20.0f}", flush=True)
    print(
        f"load average {os.getloadavg()[0]:.1f}; CPU time, median of {ROUNDS} rounds, cells of 5 mm; reading the file not counted"
    )
    return 0


def _taken(exam: Exam, budget: Budget | None) -> float:
    began = time.process_time()
    skin_dose(exam, budget=budget)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
