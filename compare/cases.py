"""All cases in the order of the document."""

from __future__ import annotations

from compare import cases_arrays, cases_phantoms
from compare.case import Case
from compare.cases_real import real_cases

__all__ = ["all_cases"]


def all_cases() -> tuple[Case, ...]:
    """Digital cases, then real ones where their folder is there."""
    return (*cases_arrays.CASES, *cases_phantoms.CASES, *real_cases())
