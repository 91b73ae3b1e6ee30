"""What a phantom is: one TOML file of geometry, inserts, what to measure and tolerances, read strictly.

Adding a phantom needs no code: a new file in ``phantoms/`` that names a locator (how the phantom is found in the
images) and procedures (what is measured) from the two registries, with numbers in millimetres.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from math import cos, radians, sin
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = [
    "Definition",
    "DefinitionError",
    "Feature",
    "Measure",
    "Module",
    "Tolerance",
    "definitions",
    "load_definition",
]

STATUSES = ("confirmed", "unconfirmed")
ABOUT = ("absolute", "nominal", "baseline", "baseline_percent")
_MAXIMUM_BYTES = 1_000_000


class DefinitionError(ValueError):
    """A phantom definition that cannot be used; the message names the file, the entry and what was expected."""


@dataclass(frozen=True, slots=True)
class Module:
    """A section of the phantom: where its centre lies along the axis, and how far it reaches."""

    id: str
    name: str
    z_mm: float = 0.0
    half_length_mm: float = 0.0
    source: str = ""
    status: str = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Feature:
    """An insert, hole, bar group or region, in the phantom's own frame.

    Angles are in degrees from the image's +x axis, positive clockwise on screen (y points down), as the field's
    fact sheets have them; ``x_mm = r cos(theta)``, ``y_mm = r sin(theta)``.
    """

    id: str
    module: str
    shape: str
    x_mm: float
    y_mm: float
    size_mm: tuple[float, ...] = ()
    angle_deg: float = 0.0
    material: str = ""
    nominal: float | None = None
    unit: str = ""
    source: str = ""
    status: str = "unconfirmed"
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def r_mm(self) -> float:
        """Distance from the phantom's axis."""
        return float((self.x_mm**2 + self.y_mm**2) ** 0.5)


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing to measure: the procedure by name, where, and with which numbers."""

    name: str
    procedure: str
    module: str = ""
    features: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Limits for the measurements whose name matches, with where they come from.

    ``about`` says what the limits are taken from: the value itself (``absolute``), its difference from ``nominal``, from
    the device's baseline, or that difference in per cent of the baseline. A limit that is ``None`` is open.
    """

    measurement: str
    unit: str
    about: str = "absolute"
    nominal: float | None = None
    remedial: tuple[float | None, float | None] = (None, None)
    suspension: tuple[float | None, float | None] = (None, None)
    source: str = ""
    edition: str = ""
    status: str = "unconfirmed"
    applies: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, name: str) -> bool:
        """Whether these limits are for the measurement of that name (``*`` matches any part)."""
        return fnmatchcase(name, self.measurement)


@dataclass(frozen=True, slots=True)
class Definition:
    """A phantom as its file describes it; ``sha256`` is the file's, so that a result says which text it rests on."""

    id: str
    name: str
    modalities: tuple[str, ...]
    locator: str
    maker: str = ""
    aliases: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    recognise: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[Module, ...] = ()
    features: tuple[Feature, ...] = ()
    measures: tuple[Measure, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()
    note: str = ""
    sha256: str = ""
    path: Path | None = None

    def module(self, id: str) -> Module:
        """The module of that id."""
        for module in self.modules:
            if module.id == id:
                return module
        raise KeyError(id)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of any result has to know: the definition's note, and that places in it are unconfirmed."""
        said = [self.note] if self.note else []
        unconfirmed = sum(one.status != "confirmed" for one in self.features)
        if unconfirmed:
            said.append(f"{unconfirmed} of {len(self.features)} places in the definition are unconfirmed")
        return tuple(said)

    def features_of(self, measure: Measure) -> tuple[Feature, ...]:
        """The features a measure asks for: its patterns in their order, or all of its module."""
        if not measure.features:
            return tuple(feature for feature in self.features if feature.module == measure.module)
        return tuple(f for pattern in measure.features for f in self.features if fnmatchcase(f.id, pattern))

    def tolerance_of(self, name: str, facts: Mapping[str, Any] | None = None) -> Tolerance | None:
        """The first tolerance for that measurement whose conditions (``applies``) agree with `facts`."""
        facts = facts or {}
        for tolerance in self.tolerances:
            if tolerance.matches(name) and _agrees(tolerance.applies, facts):
                return tolerance
        return None


def _agrees(conditions: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Every condition holds: a list means one of, a table ``{from, below}`` a half-open range."""
    for key, wanted in conditions.items():
        have = facts.get(key)
        if have is None:
            return False
        if isinstance(wanted, Mapping):
            low, high = wanted.get("from"), wanted.get("below")
            if (low is not None and have < low) or (high is not None and have >= high):
                return False
        elif isinstance(wanted, list):
            if have not in wanted:
                return False
        elif have != wanted:
            return False
    return True


class _Table:
    """A TOML table that is read key by key, so that a misspelt one is told and not ignored."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._rest = dict(values)
        self.where = where

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        if key not in self._rest:
            if default is ...:
                raise DefinitionError(f"{self.where}: {key!r} is missing")
            return default
        value = self._rest.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
            raise DefinitionError(f"{self.where}: {key} = {value!r}; expected {names}")
        return value

    def number(self, key: str, default: Any = ...) -> Any:
        value = self.take(key, (int, float), default)
        return value if value is default else float(value)

    def choice(self, key: str, allowed: Iterable[str], default: str) -> str:
        value = self.take(key, str, default)
        if value not in allowed:
            raise DefinitionError(f"{self.where}: {key} = {value!r}; expected one of {', '.join(allowed)}")
        return str(value)

    def rest(self) -> Mapping[str, Any]:
        """What was not taken: the settings of a procedure."""
        values, self._rest = self._rest, {}
        return MappingProxyType(values)

    def done(self) -> None:
        if self._rest:
            raise DefinitionError(f"{self.where}: unknown {', '.join(sorted(self._rest))}")


def _limits(table: _Table, key: str) -> tuple[float | None, float | None]:
    """``[low, high]``; the text ``"open"`` leaves a side open, a single number means plus or minus."""
    value = table.take(key, (list, int, float), None)
    if value is None:
        return (None, None)
    if isinstance(value, int | float):
        return (-abs(float(value)), abs(float(value)))
    if len(value) != 2 or any(not isinstance(side, int | float) and side != "open" for side in value):
        raise DefinitionError(
            f'{table.where}: {key} = {value!r}; expected [low, high], "open" for a side without limit'
        )
    low, high = (None if side == "open" else float(side) for side in value)
    if low is not None and high is not None and low >= high:
        raise DefinitionError(f"{table.where}: {key} = {value!r}; the lower limit is not below the upper")
    return low, high


def _feature(values: Mapping[str, Any], where: str) -> Feature:
    table = _Table(values, where)
    if "r_mm" in values:
        r, theta = table.number("r_mm"), radians(table.number("theta_deg"))
        x, y = r * cos(theta), r * sin(theta)
    else:
        x, y = table.number("x_mm"), table.number("y_mm")
    size = table.take("size_mm", (list, int, float), [])
    sizes = tuple(float(one) for one in (size if isinstance(size, list) else [size]))
    if any(one <= 0 for one in sizes):
        raise DefinitionError(f"{where}: size_mm = {size!r}; sizes are above 0")
    return Feature(
        id=table.take("id", str),
        module=table.take("module", str, ""),
        shape=table.take("shape", str, "disc"),
        x_mm=x,
        y_mm=y,
        size_mm=sizes,
        angle_deg=table.number("angle_deg", 0.0),
        material=table.take("material", str, ""),
        nominal=table.number("nominal", None),
        unit=table.take("unit", str, ""),
        source=table.take("source", str, ""),
        status=table.choice("status", STATUSES, "unconfirmed"),
        extra=table.rest(),
    )


def _tolerance(values: Mapping[str, Any], where: str) -> Tolerance:
    table = _Table(values, where)
    tolerance = Tolerance(
        measurement=table.take("measurement", str),
        unit=table.take("unit", str),
        about=table.choice("about", ABOUT, "absolute"),
        nominal=table.number("nominal", None),
        remedial=_limits(table, "remedial"),
        suspension=_limits(table, "suspension"),
        source=table.take("source", str),
        edition=table.take("edition", str, ""),
        status=table.choice("status", STATUSES, "unconfirmed"),
        applies=MappingProxyType(table.take("applies", dict, {})),
    )
    table.done()
    if tolerance.about == "nominal" and tolerance.nominal is None:
        raise DefinitionError(f"{where}: about = 'nominal' needs a nominal value")
    if tolerance.remedial == tolerance.suspension == (None, None):
        raise DefinitionError(f"{where}: neither a remedial nor a suspension limit")
    return tolerance


def load_definition(path: Path) -> Definition:
    """Read one phantom definition.

    Parameters
    ----------
    path : Path
        A TOML file.

    Raises
    ------
    DefinitionError
        If the file is no TOML, a key is missing, unknown or of the wrong kind, an id comes twice, or a measure names a
        module or feature that is not there.
    """
    raw = path.read_bytes()
    if len(raw) > _MAXIMUM_BYTES:
        raise DefinitionError(f"{path.name}: {len(raw)} bytes; a definition is at most {_MAXIMUM_BYTES}")
    try:
        values = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DefinitionError(f"{path.name}: not readable as TOML: {error}") from error
    table = _Table(values, path.name)
    modules, features, measures = [], [], []
    for index, entry in enumerate(table.take("module", list, []), 1):
        part = _Table(entry, f"{path.name}, module {index}")
        modules.append(
            Module(
                id=part.take("id", str),
                name=part.take("name", str, entry.get("id", "")),
                z_mm=part.number("z_mm", 0.0),
                half_length_mm=part.number("half_length_mm", 0.0),
                source=part.take("source", str, ""),
                status=part.choice("status", STATUSES, "unconfirmed"),
            )
        )
        part.done()
    for index, entry in enumerate(table.take("feature", list, []), 1):
        features.append(_feature(entry, f"{path.name}, feature {index} ({entry.get('id', 'no id')})"))
    for index, entry in enumerate(table.take("measure", list, []), 1):
        part = _Table(entry, f"{path.name}, measure {index} ({entry.get('name', 'no name')})")
        measures.append(
            Measure(
                name=part.take("name", str),
                procedure=part.take("procedure", str),
                module=part.take("module", str, ""),
                features=tuple(part.take("features", list, [])),
                settings=part.rest(),
            )
        )
    tolerances = [
        _tolerance(entry, f"{path.name}, tolerance {index} ({entry.get('measurement', 'no measurement')})")
        for index, entry in enumerate(table.take("tolerance", list, []), 1)
    ]
    definition = Definition(
        id=table.take("id", str),
        name=table.take("name", str),
        modalities=tuple(table.take("modalities", list)),
        locator=table.take("locator", str),
        maker=table.take("maker", str, ""),
        aliases=tuple(table.take("aliases", list, [])),
        body=MappingProxyType(table.take("body", dict, {})),
        recognise=MappingProxyType(table.take("recognise", dict, {})),
        modules=tuple(modules),
        features=tuple(features),
        measures=tuple(measures),
        tolerances=tuple(tolerances),
        note=table.take("note", str, ""),
        sha256=hashlib.sha256(raw).hexdigest(),
        path=path,
    )
    table.done()
    _check(definition, path.name)
    return definition


def _check(definition: Definition, where: str) -> None:
    """What one entry says of another: ids are unique, and every name that is used is there."""
    for what, ids in (
        ("module", [module.id for module in definition.modules]),
        ("feature", [feature.id for feature in definition.features]),
        ("measure", [measure.name for measure in definition.measures]),
    ):
        twice = {one for one in ids if ids.count(one) > 1}
        if twice:
            raise DefinitionError(f"{where}: {what} {', '.join(sorted(twice))} comes twice")
    known = {module.id for module in definition.modules}
    named = [(one.id, one.module) for one in definition.features] + [
        (one.name, one.module) for one in definition.measures
    ]
    for name, module in named:
        if module and module not in known:
            raise DefinitionError(f"{where}: {name!r} names the module {module!r}, which is not there")
    for measure in definition.measures:
        for pattern in measure.features:
            if not any(fnmatchcase(feature.id, pattern) for feature in definition.features):
                raise DefinitionError(f"{where}, measure {measure.name}: no feature matches {pattern!r}")


def shipped_folder() -> Path:
    """Where the definitions lie that come with the program: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "phantoms"
    return beside if beside.is_dir() else package / "_data" / "phantoms"


@cache
def _shipped() -> tuple[Definition, ...]:
    return tuple(load_definition(path) for path in sorted(shipped_folder().glob("*.toml")))


def definitions(own_folder: Path | None = None) -> tuple[Definition, ...]:
    """All phantoms that are known: those that are shipped, and a site's own, which win over a shipped one of the same id.

    Raises
    ------
    DefinitionError
        If one of the files cannot be used.
    """
    found, faults = sound_definitions(own_folder)
    if faults:
        raise faults[0]
    return found


def sound_definitions(own_folder: Path | None = None) -> tuple[tuple[Definition, ...], tuple[DefinitionError, ...]]:
    """As `definitions`, without a site's own files that cannot be used, and what is wrong with those.

    For what only names phantoms. Nothing is measured by it: a faulty file may have been meant to replace a shipped one.
    """
    found, faults = {definition.id: definition for definition in _shipped()}, []
    own = sorted(own_folder.glob("*.toml")) if own_folder is not None and own_folder.is_dir() else []
    for path in own:
        try:
            definition = load_definition(path)
        except DefinitionError as error:
            faults.append(error)
        else:
            found[definition.id] = definition
    return tuple(found[id] for id in sorted(found)), tuple(faults)
