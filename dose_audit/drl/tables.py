"""Editions of reference levels as plain dataclasses, and the words that their tables may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

STATUSES = ("verified", "transcribed", "unverified", "local")
"""Two people checked it here; transcribed from primary text; second-hand or recalled; computed from the site's own
exams and approved by a named role."""
PATIENT_GROUPS = ("adult", "child")
BASES = ("per_sequence", "per_exam", "per_projection", "per_view", "per_phase")
ROLES = ("drl", "p25", "achievable")
BAND_UNITS = {
    "none": ("",),
    "weight": ("kg",),
    "age": ("month", "year"),
    "water_equivalent_diameter": ("mm",),
    "thickness": ("mm",),
    "field_of_view": ("cm2",),
    "nominal_age": ("year",),
}
"""Band type → units it may be printed in. A nominal age is no interval and is never matched."""
PHANTOMS = ("", "head_16cm", "body_32cm")
SOURCES = ("", "primary", "secondary", "recalled")
SCOPES = ("indication", "region")
ROW_COLUMNS = (
    "row_id", "examination", "examination_label", "clinical_task", "modality", "technique", "scan_part",
    "basis", "patient_group", "band_type", "band_low", "band_high", "band_unit", "quantity", "unit", "value",
    "role",
    "statistic", "phantom", "phantom_source", "page_or_line", "quote", "confidence", "note",
)  # fmt: skip
EXAMINATION_COLUMNS = ("slug", "name", "modality", "clinical_task", "broader", "default_basis")
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
ROW_ID = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a table, worded for the person who mends it.

    Attributes
    ----------
    severity : str
        ``error`` (the edition is refused) or ``warning``.
    file : str
        Path as given, down to the file.
    row : str
        Row number in the file (the header is row 1) and row_id where there is one; empty for the whole file.
    code : str
        Short name of the rule.
    message : str
    """

    severity: str
    file: str
    row: str
    code: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}, row {self.row}" if self.row else self.file
        return f"{self.severity}: {where}: {self.message} [{self.code}]"

    @property
    def briefly(self) -> str:
        """What is wrong and where, without the folders that a report is not to tell."""
        where = f"{Path(self.file).name}, row {self.row}" if self.row else Path(self.file).name
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Band:
    """Half-open interval [low, high) of weight, age or size; None is an open end."""

    type: str = "none"
    low: float | None = None
    high: float | None = None
    unit: str = ""

    def contains(self, value: float) -> bool:
        """Whether `value`, in the band's own unit, lies in [low, high)."""
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)

    @property
    def label(self) -> str:
        """Words for a report: ``5-<15 kg``, ``from 6 year``, ``all``."""
        if self.type == "none":
            return "all"
        if self.type == "nominal_age":
            return f"about {self.low:g} {self.unit}"
        if self.high is None:
            return f"from {self.low or 0:g} {self.unit}"
        return f"{self.low or 0:g}-<{self.high:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class DrlRow:
    """One reference value: one quantity of one examination for one band.

    `value` and `unit` are canonical (mGy, mGy.cm, Gy.cm2, min, MBq, MBq/kg); `printed_value` and
    `printed_unit` are the source's own. The other fields carry the columns of ``rows.csv``.
    """

    set_id: str
    edition: str
    row_id: str
    examination: str
    examination_label: str
    clinical_task: str
    modality: str
    technique: str
    scan_part: str
    basis: str
    patient_group: str
    band: Band
    quantity: str
    value: float
    unit: str
    printed_value: str
    printed_unit: str
    role: str
    statistic: str
    phantom: str
    phantom_source: str
    page_or_line: str
    quote: str
    confidence: str
    note: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class AgeEquivalent:
    """Age interval [low, high) in months that the set itself names for one of its weight bands."""

    band_low: float
    band_high: float
    low_months: float
    high_months: float


@dataclass(frozen=True, slots=True)
class DrlSet:
    """One edition of one set, from ``set.toml`` and ``rows.csv``.

    `valid_from` and `valid_to` bound the study dates it applies to, half-open; `published_on` is the date on
    the edition itself, which may reprint values that were adopted earlier. `site` is the one site that a typical value
    holds for; empty for all. `approved_by` is the role behind a local edition. Where it is not known from when an edition
    applies, `valid_from_known` is false and `valid_from` is the day on which its values were recorded here.
    """

    set_id: str
    edition: str
    title: str
    publisher: str
    region: str
    url: str
    licence: str
    status: str
    statistic: str
    retrieved_on: date
    valid_from: date
    valid_to: date | None
    published_on: date | None
    supersedes: str
    source_sha256: str
    rounding: str
    phantom_convention: str
    scope: str
    adult_from_years: float
    adult_weight_kg: tuple[float, float] | None
    age_equivalents: tuple[AgeEquivalent, ...]
    checked_by: tuple[str, ...]
    notes: str
    rows: tuple[DrlRow, ...]
    folder: str
    site: str = ""
    approved_by: str = ""
    valid_from_known: bool = True

    @property
    def name(self) -> str:
        """``set_id edition``, as reports name it."""
        return f"{self.set_id} {self.edition}"

    def in_force(self, on: date) -> bool:
        """Whether the edition applies to a study of this date."""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)


@dataclass(frozen=True, slots=True)
class Examination:
    """An examination that rows and mappings refer to by its slug (modality-examination-task)."""

    slug: str
    name: str
    modality: str
    clinical_task: str
    broader: str
    default_basis: str


def tables_root() -> Path:
    """Folder of the reference levels: the packaged copy, else the checkout's ``drl_tables/``.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "_data" / "drl_tables", package.parent / "drl_tables"):
        if (candidate / "examinations.csv").is_file():
            return candidate
    raise FileNotFoundError("drl_tables is neither packaged nor beside the package")


def edition_folders(root: Path) -> list[Path]:
    """Folders ``<region>/<set_id>/<edition>`` under `root` that hold a ``set.toml``, sorted."""
    return sorted(path.parent for path in root.glob("*/*/*/set.toml"))


def broader_chain(slug: str, examinations: Mapping[str, Examination]) -> list[str] | None:
    """Slugs from the examination's parent upwards; None where they run in a circle."""
    chain: list[str] = []
    current = examinations[slug].broader if slug in examinations else ""
    while current and current in examinations:
        if current in chain or current == slug:
            return None
        chain.append(current)
        current = examinations[current].broader
    return chain
