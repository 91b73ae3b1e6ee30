"""The data dictionary (PS3.6) as the reader asks for it: keyword → tag and VR, and back.

The table is pydicom's. It is loaded from its file alone: importing pydicom brings its pixel decoders and
numpy along, most of a second that reading one report should not cost.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path


@cache
def entries() -> dict[int, tuple[str, str, str, str, str]]:
    """Tag (group << 16 | element) → VR, VM, name, retired, keyword."""
    package = importlib.util.find_spec("pydicom")
    folder = next(iter(package.submodule_search_locations or ()), None) if package else None
    path = Path(folder, "_dicom_dict.py") if folder else None
    if path is not None and path.is_file():
        spec = importlib.util.spec_from_file_location("dose_audit._pydicom_dictionary", path)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.DicomDictionary
    from pydicom.datadict import DicomDictionary

    return DicomDictionary


def _swapped(number: int) -> int:
    """A tag as the dictionary has it → as `_elements` keeps it, and back."""
    return (number & 0xFFFF) << 16 | number >> 16


class _Keywords(dict[str, tuple[int, bytes]]):
    def __missing__(self, keyword: str) -> tuple[int, bytes]:
        if not self:
            for number, (vr, _vm, _name, _retired, name) in entries().items():
                self[name] = (_swapped(number), vr.encode())
            if keyword in self:
                return self[keyword]
        raise KeyError(f"{keyword} is no keyword of the DICOM data dictionary")


KEYWORDS = _Keywords()
"""Keyword → (tag as `_elements` keeps it, VR). Asking for a word that is no keyword raises `KeyError`."""


def keyword_of(number: int) -> str | None:
    """The keyword of a tag as `_elements` keeps it; None for private and unknown ones."""
    entry = entries().get(_swapped(number))
    return (entry[4] or None) if entry else None


def vr_of(number: int) -> bytes:
    """The VR of a tag as `_elements` keeps it; UN for private and unknown ones."""
    entry = entries().get(_swapped(number))
    return entry[0].encode() if entry else b"UN"
