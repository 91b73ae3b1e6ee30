"""Real objects: the reader against pydicom, element by element and content item by content item."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_audit.extract.reader import read_object
from tests.extract.pydicom_peer import differences, pydicom_read

FOLDERS = [
    *("dose", "ct-catphan504-cbct", "ct-ge-qa", "ct-siemens-water", "dx-leeds-tor18"),
    *("mr-acr", "mr-acr-dro", "mr-magnet", "nm-mediso"),
]
# The image sets hold many slices of one scanner; a few of each show all that is new in them.
MOST_PER_FOLDER = 12


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_element_and_content_item_equals_pydicoms(real_dir: Path, folder: str) -> None:
    files = sorted(path for path in (real_dir / folder).rglob("*") if path.is_file())
    assert files
    step = 1 if folder == "dose" else max(1, len(files) // MOST_PER_FOLDER)
    different = {}
    for path in files[::step]:
        data = path.read_bytes()
        found = differences(read_object(path), pydicom_read(data), tree_only=len(data) > 40_000)
        if found:
            different[path.name] = found[:5]
    assert different == {}


def test_a_path_and_its_bytes_read_alike(real_dir: Path) -> None:
    for path in sorted((real_dir / "dose").iterdir()):
        data = path.read_bytes()
        by_path, by_bytes, by_view = read_object(path), read_object(data), read_object(memoryview(data))
        for other in (by_bytes, by_view):
            assert list(other.keywords()) == list(by_path.keywords())
            assert (other.size, other.transfer_syntax_uid) == (by_path.size, by_path.transfer_syntax_uid)
            for keyword in by_path.keywords():
                assert other.texts(keyword) == by_path.texts(keyword)
