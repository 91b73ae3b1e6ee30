"""Connected pieces, against SciPy's labelling of the same masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dose_audit.dosimetry._connected import Pieces, fill


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 24), st.integers(1, 24), st.floats(0, 1))
def test_pieces_are_those_that_scipy_labels(seed: int, rows: int, columns: int, share: float) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((rows, columns)) < share
    labels, count = ndimage.label(mask)
    pieces = Pieces(mask)
    assert pieces.count == count
    assert pieces.sizes.tolist() == np.bincount(labels.ravel(), minlength=count + 1)[1:].tolist()
    boxes = ndimage.find_objects(labels)
    assert [pieces.box(index) for index in range(count)] == boxes
    assert pieces.lengths.tolist() == [max(part.stop - part.start for part in box) for box in boxes]
    marked = mask & (random.random(mask.shape) < 0.5)
    assert pieces.hits(marked).tolist() == np.bincount(labels[marked], minlength=count + 1)[1:].tolist()
    edge = set(labels[0]) | set(labels[-1]) | set(labels[:, 0]) | set(labels[:, -1])
    assert pieces.touch_edge().tolist() == [index + 1 in edge for index in range(count)]
    wanted = random.random(count) < 0.5
    assert (pieces.plane(wanted) == np.isin(labels, np.flatnonzero(wanted) + 1)).all()
    for index in range(count):
        box = pieces.box(index, margin=2)
        assert (pieces.only(index, box) == (labels[box] == index + 1)).all()
    assert (fill(mask) == ndimage.binary_fill_holes(mask)).all()


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_of_one_kind_is_no_piece_or_one(value: bool) -> None:
    mask = np.full((5, 4), value)
    assert Pieces(mask).count == value
    assert (fill(mask) == mask).all()
    assert (Pieces(mask).plane(np.ones(int(value), bool)) == mask).all()
