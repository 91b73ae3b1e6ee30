"""What goes to the measuring of a phantom study and what comes back: plain values that travel between processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dose_audit.phantom.picture import Picture
from dose_audit.receive.objects import SpooledObject

__all__ = ["Fate", "Page", "StudyResult", "StudyTask"]

Fate = tuple[int, str, str]
"""Spool id, end state and reason of one object."""

Page = Callable[[Mapping[str, Any], Sequence[Picture], Mapping[str, str]], str]
"""Makes the page of a record, its pictures and the names of its modules: `report.phantom_page`, given by the caller."""


@dataclass(frozen=True, slots=True)
class StudyTask:
    """Images of one study.

    Attributes
    ----------
    objects : tuple of SpooledObject
        To be settled.
    earlier : tuple of SpooledObject
        Settled before, and measured again together with the new ones.
    refusal : str
        Why they must not be looked at any more; empty usually.
    """

    objects: tuple[SpooledObject, ...]
    earlier: tuple[SpooledObject, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What came of a study: fates of its objects, a line for each phantom, how many results are new in the store."""

    fates: list[Fate]
    phantoms: list[str] = field(default_factory=list)
    new: int = 0
