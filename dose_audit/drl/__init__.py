"""Reference levels as data, the row that answers for an exam, and a group's doses held beside it. Pure.

`load_sets` reads the editions of ``drl_tables/``, `DrlRegistry.find` matches one examination,
`MappingTable.resolve` says which examination an exam was, and `compare` judges a group. No guess ever counts:
no row, or two, has a status.
"""

from dose_audit.drl.check import check_root, release_edition
from dose_audit.drl.comparison import Comparison, Evidence, Verdict, compare, compare_figures, least_n
from dose_audit.drl.local import LocalValue, local_level, typical_value
from dose_audit.drl.mapping import (
    Coverage,
    ExamFacts,
    ExamMapping,
    MappingError,
    MappingTable,
    Resolution,
    coverage,
)
from dose_audit.drl.reader import read_examinations
from dose_audit.drl.registry import DrlRegistry, Match, load_sets
from dose_audit.drl.suggest import Suggestion, read_abbreviations, suggest
from dose_audit.drl.tables import DrlRow, DrlSet, Examination, Problem, tables_root
from dose_audit.drl.units import QUANTITIES, Quantity, UnitError, find_quantity

__all__ = [
    "QUANTITIES",
    "Comparison",
    "Coverage",
    "DrlRegistry",
    "DrlRow",
    "DrlSet",
    "Evidence",
    "ExamFacts",
    "ExamMapping",
    "Examination",
    "LocalValue",
    "MappingError",
    "MappingTable",
    "Match",
    "Problem",
    "Quantity",
    "Resolution",
    "Suggestion",
    "UnitError",
    "Verdict",
    "check_root",
    "compare",
    "compare_figures",
    "coverage",
    "find_quantity",
    "least_n",
    "load_sets",
    "local_level",
    "read_abbreviations",
    "read_examinations",
    "release_edition",
    "suggest",
    "tables_root",
    "typical_value",
]
