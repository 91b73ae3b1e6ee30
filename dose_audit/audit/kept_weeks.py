"""Keeps the files of frozen weeks, so that a night writes and hashes only those that are others than the night before."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from pathlib import Path

from dose_audit.kept_files import read_kept, write_kept

__all__ = ["KeptWeeks"]

_INDEX = "index.json"
_KEPT_S = 10 * 86400.0
"""A week that no run asked for in so long is dropped: runs over other periods do not drop the nightly's."""


class KeptWeeks:
    """Files of weeks by a key that says what they hold.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing. It may be deleted at any time.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        body = None if folder is None else read_kept(folder / _INDEX)
        self._known: dict[str, list[str]] = {} if body is None else json.loads(bytes(body))

    def sha256(self, key: str | None) -> str | None:
        """Hash of what a week holds, where it is known."""
        return self._known[key][0] if key in self._known else None

    def copy(self, key: str | None, path: Path) -> bool:
        """Put a week's file in its place, where it is there as it was written."""
        if self._folder is None or key is None or key not in self._known:
            return False
        try:
            os.utime(self._path(key))
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return False
        if hashlib.sha256(data).hexdigest() != self._known[key][1]:
            return False
        aside = path.with_suffix(".part")
        aside.write_bytes(data)
        aside.replace(path)
        return True

    def keep(self, key: str | None, sha256: str, path: Path) -> None:
        """Keep the file of a week."""
        if self._folder is None or key is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # Two audits may keep the same week at once: each has a part file of its own.
        aside = self._path(key).with_suffix(f".{secrets.token_hex(4)}.part")
        shutil.copyfile(path, aside)
        aside.replace(self._path(key))
        self._known[key] = [sha256, hashlib.sha256(path.read_bytes()).hexdigest()]

    def write(self) -> None:
        """Keep what is known of the files, and drop those that nobody asks for any more."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name != _INDEX and time.time() - path.stat().st_mtime > _KEPT_S:
                path.unlink(missing_ok=True)
        there = {path.stem for path in self._folder.glob("*.parquet")}
        self._known = {key: told for key, told in self._known.items() if key in there}
        write_kept(self._folder / _INDEX, [json.dumps(self._known).encode()])

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.parquet"
