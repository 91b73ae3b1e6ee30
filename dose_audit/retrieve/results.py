"""Reconciliations on disk: one small JSON file each, the latest of which opens the nightly report."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.retrieve.reconciliation import Reconciliation

__all__ = ["FOLDER", "keep_reconciliation", "latest_reconciliation"]

FOLDER = "reconcile"
VERSION = 1
_log = logging.getLogger(__name__)
_MAX_BYTES = 64 << 20


def keep_reconciliation(home: Path, reconciliation: Reconciliation) -> Path:
    """Write a reconciliation; it appears under its name complete or not at all.

    Parameters
    ----------
    home : Path
        Home directory of the installation.
    reconciliation : Reconciliation

    Returns
    -------
    Path
    """
    import dose_audit

    folder = Path(home) / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    record = {"version": VERSION, "engine": dose_audit.__version__, **reconciliation.record()}
    path = folder / f"{reconciliation.checked_at:%Y%m%dT%H%M%S%f}.json"
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        json.dump(record, stream, indent=1, allow_nan=False)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    return path


def latest_reconciliation(home: Path) -> dict[str, Any] | None:
    """The latest reconciliation of an installation.

    Returns
    -------
    dict or None
        ``source``, ``checked_at``, ``period`` {since, until}, ``archived``, ``received``, ``without_dose``,
        ``percent``, ``by_device`` [{station, day, archived, received, without_dose, missing, percent}],
        ``missing_count``, ``missing`` [{study, day, station, modalities}] (the first 1,000), ``truncated``
        [{day, modality}], ``left_out``. None where there was none, or where the latest cannot be read.
    """
    files = sorted((Path(home) / FOLDER).glob("*.json"))
    if not files:
        return None
    try:
        if files[-1].stat().st_size > _MAX_BYTES:
            raise ValueError("too long")
        record = json.loads(files[-1].read_text("utf-8"))
        if not isinstance(record, dict) or record.get("version") != VERSION:
            raise ValueError("not of this version")
    except (OSError, ValueError) as error:
        _log.error("the reconciliation %s cannot be read (%s); run it again", files[-1].name, error)
        return None
    return {name: value for name, value in record.items() if name not in ("version", "engine")}
