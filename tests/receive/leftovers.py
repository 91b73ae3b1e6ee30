"""What a spool has under way."""

from __future__ import annotations

from pathlib import Path


def unfinished(spool: Path) -> list[Path]:
    """Part files with something in them; empty ones are spare."""
    return [path for path in (spool / "part").rglob("*.part") if _size(path)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # finished since the folder was read
