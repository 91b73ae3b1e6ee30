"""Writes the sample objects of this folder: one of each device of the demonstration, and the rarer kinds.

Run from the checkout: ``python testdata/make_samples.py``. The same code gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dose_audit.demo import objects_ct, objects_nuclear, objects_projection, objects_reports
from dose_audit.demo.generate import SEED, objects_of
from dose_audit.demo.plan import plan

HERE = Path(__file__).resolve().parent

# Planted exams that are worth a file of their own, by the name of the file.
PLANTED = {
    "ct-cumulative": "cumulative",
    "ct-two-phantoms": "mixed_ctdi_phantoms",
    "ct-truncated": "corrupt_object",
}

# The folder stays small: two planted files already show these devices, and one report is large.
LEFT_OUT = {"ct-siemens", "ct-philips", "fluoroscopy-philips"}


def make_samples(out: Path = HERE) -> dict[str, dict[str, object]]:
    """Write the samples and ``truth.json`` into a folder.

    Parameters
    ----------
    out : Path
        Folder.

    Returns
    -------
    dict
        What ``truth.json`` holds: by file name, the exam-record values that this object alone gives. Empty
        for an object that cannot be read, and for the rarer kinds: their values are their builders' defaults.
    """
    truths: dict[str, dict[str, object]] = {}
    exams = plan(SEED)
    chosen = {}
    for exam in exams:
        if not exam.planted:
            name = f"{exam.device.kind.replace('_', '-')}-{exam.device.style}"
            if name not in LEFT_OUT:
                chosen.setdefault(name, exam)
    for name, kind in PLANTED.items():
        chosen[name] = next(exam for exam in exams if kind in exam.planted)
    for name, exam in sorted(chosen.items()):
        written = objects_of(exam)[:2] if exam.device.kind == "mg_image" else objects_of(exam)
        for position, generated in enumerate(written, start=1):
            file_name = f"{name}-{position}.dcm" if len(written) > 1 else f"{name}.dcm"
            (out / file_name).write_bytes(generated.data)
            truths[file_name] = generated.truth
    for module in (objects_ct, objects_nuclear, objects_projection, objects_reports):
        for name in module.__all__:
            file_name = f"single-{name.replace('_', '-')}.dcm"
            getattr(module, name)().save_as(out / file_name, enforce_file_format=True)
            truths[file_name] = {}
    lines = (f"{json.dumps(name)}: {json.dumps(truth)}" for name, truth in sorted(truths.items()))
    (out / "truth.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return truths


if __name__ == "__main__":
    print(f"{len(make_samples())} files written to {HERE}", file=sys.stderr)
