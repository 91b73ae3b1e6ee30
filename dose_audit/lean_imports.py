"""pydicom and scipy loaded without what they load for others: a download client, and notes in the docstrings of functions.

A fifth of the time that they take. Both come whole where somebody asks for more.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["load_leanly"]

_DOWNLOADS = "pydicom.data.download"


class _Later(ModuleType):
    """In place of a module: functions that load it when they are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def called(*arguments: Any, **named: Any) -> Any:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            return getattr(importlib.import_module(self.__name__), name)(*arguments, **named)

        return called


class _Untouched(dict[str, list[str]]):
    """What scipy adds its note on array libraries to, in place of a parsed docstring: the docstring stays as it was."""

    def __init__(self, function: Any) -> None:
        super().__init__(Notes=[])
        self._text = function.__doc__ or ""

    def __str__(self) -> str:
        return f"\n{self._text}"


def load_leanly() -> None:
    """Load pydicom and the parts of scipy that everything here uses.

    Examples
    --------
    >>> load_leanly()
    >>> import scipy.ndimage
    >>> scipy.ndimage.label.__doc__.strip()[:5]
    'Label'
    """
    if "pydicom" not in sys.modules:
        sys.modules[_DOWNLOADS] = _Later(_DOWNLOADS)
    importlib.import_module("pydicom")
    if "scipy.ndimage" not in sys.modules:
        interface = importlib.import_module("scipy._lib._array_api")
        parsed = getattr(interface, "FunctionDoc", None)
        try:
            if parsed is not None:
                interface.FunctionDoc = _Untouched  # type: ignore[attr-defined]
            for name in ("scipy.ndimage", "scipy.special", "scipy.fft"):
                importlib.import_module(name)
        finally:
            if parsed is not None:
                interface.FunctionDoc = parsed  # type: ignore[attr-defined]
