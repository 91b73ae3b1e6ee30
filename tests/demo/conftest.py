"""The demonstration network, planned and written once per test process."""

from __future__ import annotations

import pytest

from dose_audit.demo.generate import GeneratedObject, objects_of
from dose_audit.demo.plan import PlannedExam, plan

SEED = 20260630


@pytest.fixture(scope="session")
def exams() -> list[PlannedExam]:
    return plan(SEED)


@pytest.fixture(scope="session")
def some_objects(exams: list[PlannedExam]) -> list[tuple[PlannedExam, GeneratedObject]]:
    """Every object of two plain exams of each device and cohort, and of one exam of each planted kind."""
    wanted: dict[object, int] = {}
    chosen = []
    for exam in exams:
        key = (exam.device.key, exam.cohort.examination, exam.variant, tuple(exam.planted))
        wanted[key] = wanted.get(key, 0) + 1
        if wanted[key] <= 2:
            chosen.append(exam)
    return [(exam, written) for exam in chosen for written in objects_of(exam)]
