"""What an analysis works on: one series, the others that came with it, and results that several steps share."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from dose_audit.phantom.beam import is_cone_beam
from dose_audit.phantom.definition import Definition, DefinitionError, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.series import ImageSeries

T = TypeVar("T")

__all__ = ["Locator", "Match", "Procedure", "Workbench", "find_locator", "find_procedure"]


@dataclass(frozen=True, slots=True)
class Match:
    """How well a series agrees with a definition.

    Parameters
    ----------
    score : float
        0 (certainly not) to 1 (certainly); `dose_audit.phantom.recognise.ACCEPTED` and above is accepted.
    evidence : tuple of str
        What spoke for and against it, in words.
    companion : bool
        The images belong to the phantom but are measured only beside a main series (a localiser of the same phantom).
    """

    score: float
    evidence: tuple[str, ...] = ()
    companion: bool = False


@dataclass
class Workbench:
    """One series with its companions (other series of the same phantom: repeats, other planes, localisers).

    ``beside`` holds the companions' own benches, with what was found in them while they were recognised.
    ``plane_reach_mm`` is how far from its plane a section of the phantom can still be measured, where its definition says so
    (``[body] plane_reach_mm``): in an incomplete set the nearest slice may be another section's.
    ``unit_doubts`` says of a unit why all values in it are in doubt: HU of images that are not on the CT number scale.
    ``defects`` says by definition why it could not be looked for: its locator failed in these images.
    """

    series: ImageSeries
    companions: Sequence[ImageSeries] = ()
    cache: dict[str, Any] = field(default_factory=dict)
    plane_reach_mm: float | None = None
    beside: Sequence[Workbench] = ()
    unit_doubts: dict[str, str] = field(default_factory=dict)
    defects: dict[str, str] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """`make()` the first time, the same result afterwards."""
        if key not in self.cache:
            self.cache[key] = make()
        return cast(T, self.cache[key])

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Row and column spacing; a series without one is refused before any procedure runs."""
        spacing = self.series.spacing_mm
        assert spacing is not None
        return spacing

    def frame_at(self, pose: Pose, z_mm: float, *, within_mm: float | None = None) -> int | None:
        """Index of the frame nearest to a plane of the phantom; `None` where the images do not reach it.

        Parameters
        ----------
        z_mm : float
            In the phantom's own frame.
        within_mm : float, optional
            How far the frame may lie from the plane; by default half the larger of step and thickness, plus 0.5 mm, and
            no more than ``plane_reach_mm``.
        """
        wanted = pose.z_in_series(z_mm)
        index = self.series.nearest(wanted)
        reach = within_mm
        if reach is None:
            reach = max(self.series.step_mm or 0.0, self.series.thickness_mm or 0.0) / 2 + 0.5
            if self.plane_reach_mm is not None:
                reach = min(reach, self.plane_reach_mm)
        return index if abs(float(self.series.z_mm[index]) - wanted) <= reach else None

    def frames_between(self, pose: Pose, from_mm: float, to_mm: float) -> list[int]:
        """Frames whose centres lie between two planes of the phantom."""
        low, high = sorted((pose.z_in_series(from_mm), pose.z_in_series(to_mm)))
        z = self.series.z_mm
        return [int(index) for index in np.flatnonzero((z >= low - 1e-6) & (z <= high + 1e-6))]

    @property
    def untold(self) -> tuple[str, ...]:
        """What limits may depend on and the header does not tell, in words."""
        if self.series.modality == "CT" and is_cone_beam(self.series.header) is None:
            return ("the header does not tell fan from cone beam: limits that hold for one of them are not applied",)
        return ()

    def header(self, keyword: str, default: Any = None) -> Any:
        """An attribute of the first frame."""
        return self.series.header.get(keyword, default)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What tolerances may depend on: field strength, tube voltage, nominal thickness, modality."""
        header = self.series.header
        found: dict[str, Any] = {"modality": self.series.modality, "thickness_mm": self.series.thickness_mm}
        if self.series.modality == "CT":
            cone_beam = is_cone_beam(header)
            if cone_beam is not None:
                found["cone_beam"] = cone_beam
        for name, keyword in (
            ("field_strength_t", "MagneticFieldStrength"),
            ("kvp_kv", "KVP"),
            ("echo_time_ms", "EchoTime"),
        ):
            try:
                found[name] = float(header[keyword])
            except (KeyError, TypeError, ValueError):
                continue
        # Some makers send the field in gauss.
        if found.get("field_strength_t", 0.0) > 100.0:
            found["field_strength_t"] /= 10_000.0
        return found


class Locator(Protocol):
    """The shape of a module in `dose_audit.phantom.locate`."""

    def match(self, bench: Workbench, definition: Definition) -> Match: ...

    def locate(self, bench: Workbench, definition: Definition) -> Pose: ...


Procedure = Callable[[Workbench, Pose, Definition, Measure], Iterable[PhantomMeasurement]]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def find_locator(name: str) -> Locator:
    """The locator that a definition names.

    Raises
    ------
    DefinitionError
        If there is none of that name.
    """
    if not _NAME.fullmatch(name):
        raise DefinitionError(f"locator {name!r} is no name")
    try:
        return cast(Locator, importlib.import_module(f"dose_audit.phantom.locate.{name}"))
    except ModuleNotFoundError as error:
        if error.name != f"dose_audit.phantom.locate.{name}":
            raise
        raise DefinitionError(f"there is no locator {name!r}") from error


def find_procedure(name: str) -> Procedure:
    """The procedure that a measure names as ``file.function``.

    Raises
    ------
    DefinitionError
        If there is none of that name.
    """
    file, _, function = name.partition(".")
    if not _NAME.fullmatch(file) or not _NAME.fullmatch(function):
        raise DefinitionError(f"procedure {name!r}: expected file.function")
    try:
        module = importlib.import_module(f"dose_audit.phantom.procedures.{file}")
    except ModuleNotFoundError as error:
        if error.name != f"dose_audit.phantom.procedures.{file}":
            raise
        raise DefinitionError(f"there is no procedure {name!r}") from error
    if function not in module.__all__:
        raise DefinitionError(f"there is no procedure {name!r}")
    return cast(Procedure, getattr(module, function))
