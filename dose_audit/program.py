"""Which state of the program is at work: a hash of its own files and of the libraries that its results hang on.

Between two releases the version number stays what it is while the program changes; the hash does not.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

__all__ = ["DRAWING_LIBRARIES", "program_sha256"]

DRAWING_LIBRARIES = ("altair", "jinja2", "numpy", "scipy", "vl-convert-python", "weasyprint", "xlsxwriter")
"""What pages, charts and workbooks are drawn with."""
_ENDINGS = frozenset({".py", ".toml", ".csv", ".j2", ".css", ".js"})


@lru_cache(maxsize=8)
def program_sha256(folders: tuple[str, ...] = ("",), libraries: tuple[str, ...] = DRAWING_LIBRARIES) -> str:
    """Hash of the program's text, of its tables and templates, and of the versions of libraries.

    Parameters
    ----------
    folders : tuple of str
        Of the package, with all that is below them; by default the whole.
    libraries : tuple of str

    Returns
    -------
    str
        SHA-256 in hexadecimal.

    Examples
    --------
    >>> program_sha256(("statistics",), ("numpy",)) == program_sha256(("drl",), ("numpy",))
    False
    """
    package = Path(__file__).parent
    digest = hashlib.sha256("\n".join(f"{name} {version(name)}" for name in libraries).encode())
    for folder in folders:
        for path in sorted((package / folder).rglob("*")):
            if path.suffix in _ENDINGS:
                digest.update(f"\x1e{path.relative_to(package).as_posix()}\x1f".encode() + path.read_bytes())
    return digest.hexdigest()
