"""The manifest of the columnar copy: which Parquet files are its present state, with row counts and hashes.

A reader takes the files that the manifest names and no others: what a stopped refresh left behind does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["MANIFEST", "CopiedFile", "Manifest", "file_sha256", "parquet_files", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class CopiedFile:
    """One Parquet file of the copy.

    Attributes
    ----------
    file : str
        Its path under the folder.
    rows : int
    stored : int
        How many of them are rows of the store; the others are counted there and have no row of their own.
    sha256 : str
        Of the file's bytes.
    """

    file: str
    rows: int
    stored: int
    sha256: str


@dataclass
class Manifest:
    """State of the copy.

    Attributes
    ----------
    layout, block_rows : int
        The whole copy is made anew when one of them is not today's.
    files : dict
        Table → block → file. A block is a range of exam numbers (of object numbers, in ``objects``).
    seen : dict
        What the changes since are found by: see `dose_audit.store.columns_changes`.
    """

    layout: int
    block_rows: int
    files: dict[str, dict[str, CopiedFile]] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def names(self, table: str) -> list[str]:
        """Files of a table in the order of its blocks."""
        return [self.files[table][block].file for block in sorted(self.files.get(table, {}), key=_block_order)]


def _block_order(block: str) -> tuple[int, str]:
    return (int(block) if block.lstrip("-").isdigit() else 1 << 62, block)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder; None where there is none, or none that can be read."""
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = {
            table: {block: CopiedFile(**entry) for block, entry in blocks.items()}
            for table, blocks in found["files"].items()
        }
        return Manifest(int(found["layout"]), int(found["block_rows"]), files, dict(found["seen"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged: the copy is made anew, from the store


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a manifest in place of the last one, whole or not at all."""
    text = json.dumps(asdict(manifest), separators=(",", ":"), sort_keys=True)
    part = folder / f".{MANIFEST}.part"
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / MANIFEST)


def parquet_files(folder: Path, table: str, manifest: Manifest | None = None) -> list[Path]:
    """Return the files that hold a table now.

    Parameters
    ----------
    folder : Path
        With a manifest; or with ``<table>.parquet``, a file or a folder of parts.
    table : str
        ``exams``, ``events`` or ``objects``.
    manifest : Manifest, optional
        Read before; else the folder's present one.

    Returns
    -------
    list of Path
        Empty where the table is missing.
    """
    manifest = manifest or read_manifest(folder)
    if manifest is not None:
        return [folder / name for name in manifest.names(table)]
    path = folder / f"{table}.parquet"
    if path.is_dir():
        return sorted(path.rglob("*.parquet"))
    return [path] if path.is_file() else []


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
