"""Seals a frozen run: what it was made from, with hashes, and whether its files are still those that it wrote.

``inputs.json`` says what the run read: the engine; of every file of the columnar copy its rows and SHA-256; the mapping's
version; the reference editions; the algorithms. ``seal.json`` has the SHA-256 of every file that the report is drawn from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.audit.engine import Engine

__all__ = ["INPUTS", "SEAL", "VALUES", "broken_seals", "read_from", "seal_run", "write_inputs"]

INPUTS, SEAL = "inputs.json", "seal.json"
VALUES = "values.parquet"
"""A folder with a file a week; in runs of former versions one file."""
_SEALED = ("report.json", VALUES, INPUTS)
"""What a report is drawn from; pages and tables beside them are drawn from these again."""


def read_from(engine: Engine) -> dict[str, Any]:
    """Say what an engine reads: its name, and the state of the copy by blocks.

    Returns
    -------
    dict
        ``engine``; ``copy``: null where a database answers itself, or where the copy has no manifest, else ``layout``,
        ``block_rows`` and ``files``: table → block → ``rows`` and ``sha256``.
    """
    name = f"{engine.name} {engine.version}"
    manifest = engine.manifest
    if manifest is None:
        return {"engine": name, "copy": None}
    files = {
        table: {block: {"rows": file.rows, "sha256": file.sha256} for block, file in sorted(blocks.items())}
        for table, blocks in sorted(manifest.files.items())
    }
    return {"engine": name, "copy": {"layout": manifest.layout, "block_rows": manifest.block_rows, "files": files}}


def write_inputs(run_dir: Path, inputs: Mapping[str, Any]) -> str:
    """Write ``inputs.json`` and return its SHA-256, which the run's record bears."""
    data = (json.dumps(inputs, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    (run_dir / INPUTS).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def seal_run(run_dir: Path) -> None:
    """Write the hashes of a finished run's files, last of all."""
    text = json.dumps({name: _sha256(run_dir / name) for name in _files(run_dir)}, indent=1, sort_keys=True)
    part = run_dir / f".{SEAL}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(run_dir / SEAL)


def broken_seals(run_dir: Path) -> list[str]:
    """Say which files of a run are no longer those that it wrote.

    Parameters
    ----------
    run_dir : Path

    Returns
    -------
    list of str
        A sentence each; empty where all are as written, and for a run of a version that did not seal yet.
    """
    path = run_dir / SEAL
    if not path.is_file():
        return (
            [f"{SEAL} is missing: the run was not finished, or its seal was taken away."]
            if (run_dir / INPUTS).is_file()
            else []
        )
    try:
        sealed = json.loads(path.read_text(encoding="utf-8"))
        wanted = {str(name): str(sha256) for name, sha256 in sealed.items()}
    except (ValueError, AttributeError):
        return [f"{SEAL} is damaged."]
    if {name.partition("/")[0] for name in wanted} != set(_SEALED):
        return [f"{SEAL} is damaged."]
    broken = [f"{name} was put there after the run." for name in _files(run_dir) if name not in wanted]
    for name, sha256 in wanted.items():
        if not (run_dir / name).is_file():
            broken.append(f"{name} is missing.")
        elif (found := _sha256(run_dir / name)) != sha256:
            broken.append(f"{name} was changed after the run: SHA-256 {found[:12]}…, sealed {sha256[:12]}….")
    return broken


def _files(run_dir: Path) -> list[str]:
    """Names of the files of a run that are there."""
    names = []
    for name in _SEALED:
        path = run_dir / name
        names += sorted(f"{name}/{one.name}" for one in path.iterdir()) if path.is_dir() else [name]
    return [name for name in names if (run_dir / name).is_file()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
