"""One value of an exam from its projections or views: those that are the same examination together, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.mapping import WHOLE_PROJECTION
from dose_audit.audit.numbering import renumbered
from dose_audit.audit.quantities import BY_PROJECTION, SINGLE_SHOT_MODALITIES

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns

__all__ = ["one_value_each"]


def one_value_each(columns: Columns, order: tuple[str, ...]) -> Columns:
    """The rows with one value of an exam, quantity and examination, in the place of one a projection or view.

    Parameters
    ----------
    columns : Columns
        As arrays, sorted by `order`, with ``fact`` (a number for all that the mapping knew of a row), ``overlooked``
        (see `mapping.ResolvedFacts`) and ``reason``.
    order : tuple of str
        The last three are the moment, the exam and the value, those before them what makes rows one group.

    Returns
    -------
    Columns
        Sorted likewise, without ``fact`` and ``overlooked``. A value is the median of those that it stands for, and
        so is its thickness. Rows that are left out stay apart by the reason, and by the label where no examination
        is known.

    Notes
    -----
    Projections of a radiograph that the mapping does not tell apart are ``SEVERAL_PROJECTIONS``: a frontal and a lateral
    chest are not the same patient dose. That is so where one of them is mapped by what is said of the whole exam or of
    its region, and where known views differ under one name that the mapping looked at; two names that it names are its
    own choice. Views of a breast are one value: its levels are of any view unless the mapping looks at it.
    """
    modality, modalities = columns.codes("modality")
    apart = np.array([word in BY_PROJECTION for word in modalities], dtype=np.bool_)[modality]
    if not apart.any():
        return columns.without("fact", "overlooked")
    reason, reasons = columns.codes("reason")
    label, labels = columns.codes("label")
    unknown = columns["examination"] == ""
    # What tells rows of an exam apart besides: sorted as they are, those of one exam and examination stand together.
    kind, kinds = renumbered(
        reason.astype(np.int64) * len(labels) + np.where(unknown, label, 0), len(reasons) * len(labels)
    )
    exam = _runs([columns["exam_id"], *(columns.codes(name)[0] for name in order if name in columns.texts)])
    group, groups = renumbered(exam * kinds + kind, (int(exam[-1]) + 1) * kinds)
    sizes = np.bincount(group, minlength=groups)
    if int(sizes.max()) == 1:
        return columns.without("fact", "overlooked")
    rows = np.argsort(group, kind="stable")  # ascending in each group, for the order ends with the value
    # Of equal values the name decides and not which of them was read first.
    several = np.flatnonzero(sizes[group[rows]] > 1)
    ties = rows[several]
    names = (label[ties], columns["value"][ties], group[ties])
    rows[several] = ties[np.lexsort(names)]
    first = rows[np.cumsum(sizes) - sizes]
    shots = np.array([word in SINGLE_SHOT_MODALITIES for word in modalities], dtype=np.bool_)[modality[first]]
    mixed = shots & (columns["reason"][first] == "") & _not_told_apart(columns, group, groups, label)
    found = columns.some(first)
    found = found.with_numbers("value", _medians(group, columns["value"], groups))
    found = found.with_numbers("thickness_mm", _medians(group, columns["thickness_mm"], groups))
    codes = np.where(mixed, len(reasons), reason[first])
    found = found.with_texts("reason", codes, [*reasons, "SEVERAL_PROJECTIONS"]).without("fact", "overlooked")
    return found.some(np.lexsort((found["value"], exam[first])))


def _runs(keys: list[NDArray[Any]]) -> NDArray[np.int64]:
    """Number of the run of equal rows that each row is part of."""
    new = np.zeros(keys[0].size, dtype=np.bool_)
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return np.cumsum(new)


def _not_told_apart(
    columns: Columns, group: NDArray[np.integer[Any]], groups: int, label: NDArray[np.integer[Any]]
) -> NDArray[np.bool_]:
    """Groups of different projections that the mapping took for one without having looked at what tells them apart."""
    overlooked = columns["overlooked"]
    whole = np.bincount(group[overlooked == WHOLE_PROJECTION], minlength=groups) > 0
    named = np.flatnonzero(overlooked > 0)
    name = label[named].astype(np.int64)
    view = name * (int(overlooked.max(initial=0)) + 1) + overlooked[named]
    several = _distinct(group[named], view, groups) > _distinct(group[named], name, groups)
    return (whole & (_distinct(group, columns["fact"], groups) > 1)) | several


def _distinct(group: NDArray[np.integer[Any]], numbers: NDArray[Any], groups: int) -> NDArray[np.int64]:
    """How many different numbers each group has."""
    order = np.lexsort((numbers, group))
    new = np.ones(order.size, dtype=np.bool_)
    new[1:] = (group[order[1:]] != group[order[:-1]]) | (numbers[order[1:]] != numbers[order[:-1]])
    return np.bincount(group[order[new]], minlength=groups)


def _medians(group: NDArray[np.integer[Any]], numbers: NDArray[Any], groups: int) -> NDArray[np.float64]:
    """Median of the known numbers of each group; NaN where it has none."""
    known = np.flatnonzero(~np.isnan(numbers))
    order = known[np.lexsort((numbers[known], group[known]))]
    sizes = np.bincount(group[order], minlength=groups)
    starts = np.cumsum(sizes) - sizes
    some = np.flatnonzero(sizes)
    found = np.full(groups, np.nan)
    low, high = (starts[some] + (sizes[some] - 1) // 2), (starts[some] + sizes[some] // 2)
    found[some] = 0.5 * (numbers[order[low]] + numbers[order[high]])
    return found
