"""Reads the folder of a frozen audit run: the report's data and the values behind its groups."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dose_audit.audit.seal import broken_seals

__all__ = ["FrozenRun", "FrozenRunError", "Group", "GroupKey"]


class FrozenRunError(ValueError):
    """The folder is not a frozen run, or is damaged: which file, what was expected."""


GroupKey = tuple[str, str, str, str, str]
"""Site, equipment, examination, band, quantity."""


@dataclass(frozen=True)
class Group:
    """The values of one compared group, in time order."""

    key: GroupKey
    values: list[float]
    times: list[datetime | None]
    sizes: list[float | None]
    software_versions: list[str | None]


@dataclass(frozen=True)
class FrozenRun:
    """One audit run as it was frozen.

    Parameters
    ----------
    folder : Path
    data : dict
        Contents of ``report.json``.
    """

    folder: Path
    data: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> FrozenRun:
        """Read ``report.json`` of a run's folder.

        Raises
        ------
        FrozenRunError
            When the folder or the file is missing or is not JSON; when a file of the run is not as the run wrote it.
        """
        path = Path(folder) / "report.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise FrozenRunError(f"{folder} is not the folder of an audit run: it has no report.json.") from error
        except json.JSONDecodeError as error:
            raise FrozenRunError(f"{path} is damaged: {error}.") from error
        broken = broken_seals(Path(folder))
        if broken:
            raise FrozenRunError(f"{folder} is no longer the run that was frozen: {' '.join(broken)}")
        missing = {"run", "completeness", "comparisons", "findings"} - set(data)
        if missing:
            raise FrozenRunError(f"{path} lacks {', '.join(sorted(missing))}.")
        return cls(Path(folder), data)

    @cached_property
    def values(self) -> list[dict[str, Any]]:
        """Rows of ``values.parquet``: one per exam and quantity, compared or left out."""
        path = self.folder / "values.parquet"
        if not path.is_file():
            raise FrozenRunError(f"{self.folder} has no values.parquet: the run's inputs were not frozen with it.")
        import pyarrow.parquet

        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows

    @cached_property
    def groups(self) -> dict[GroupKey, Group]:
        """Included values by site, equipment, examination, band and quantity, each in time order."""
        rows: dict[GroupKey, list[dict[str, Any]]] = defaultdict(list)
        for row in self.values:
            if row["included"] and row["value"] is not None:
                rows[group_key(row)].append(row)
        return {key: _group(key, members) for key, members in sorted(rows.items())}

    @cached_property
    def left_out(self) -> dict[GroupKey, list[dict[str, Any]]]:
        """Value rows that were not compared, by the group that they would belong to."""
        rows: dict[GroupKey, list[dict[str, Any]]] = defaultdict(list)
        for row in self.values:
            if (
                not row["included"]
                and row["value"] is not None
                and row["value"] > 0
                and row["study_datetime"] is not None
            ):
                rows[group_key(row)].append(row)
        return dict(rows)


def group_key(row: dict[str, Any]) -> GroupKey:
    """Key of a value row or of a comparison."""
    return (
        row["site"] or "",
        row["equipment"] or "",
        row["examination"] or "",
        row["band"] or "",
        row["quantity"] or "",
    )


def _group(key: GroupKey, rows: list[dict[str, Any]]) -> Group:
    rows.sort(key=lambda row: (row["study_datetime"] or datetime.min, row["exam_ref"] or ""))
    return Group(
        key,
        [row["value"] for row in rows],
        [row["study_datetime"] for row in rows],
        [row.get("weight_kg") for row in rows],
        [row.get("software_versions") for row in rows],
    )
