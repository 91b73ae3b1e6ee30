"""Names of files that stay where they are, as the ledger holds them: whatever bytes a file system allows in a name."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

__all__ = ["ledger_name", "named_path"]

_BYTES = "bytes:"
"""Before the name of a file that is no UTF-8; no absolute path begins so."""


def ledger_name(path: Path) -> str:
    r"""The absolute path as text that a database takes.

    A tree that was written by an old system may have names in another encoding. Python gives their bytes as halves of
    characters, which no database stores; these names are told with their bytes escaped.

    Examples
    --------
    >>> ledger_name(Path("/archive/b\udcfcro.dcm"))
    'bytes:/archive/b%FCro.dcm'
    >>> ledger_name(Path("/archive/büro.dcm"))
    '/archive/büro.dcm'
    """
    name = str(Path(path).absolute())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return _BYTES + quote_from_bytes(os.fsencode(name), safe="/\\: ")
    return name


def named_path(name: str) -> Path:
    r"""The path of which `ledger_name` made this.

    Examples
    --------
    >>> named_path("bytes:/archive/b%FCro.dcm") == Path("/archive/b\udcfcro.dcm")
    True
    """
    if name.startswith(_BYTES):
        return Path(os.fsdecode(unquote_to_bytes(name.removeprefix(_BYTES))))
    return Path(name)
