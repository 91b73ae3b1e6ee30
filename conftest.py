"""Examples in docstrings leave nothing in the system's temporary folder: each is given one that pytest clears away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def temporary_files_of_examples(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Where `tempfile` makes its files, while an example runs."""
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("example"))
    yield
    tempfile.tempdir = before
