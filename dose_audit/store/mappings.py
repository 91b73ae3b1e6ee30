"""Versions of the exam mapping: each approved by somebody, none ever edited."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max

from dose_audit.store.models import ExamMapping
from dose_audit.texts import clean_values, named_role

__all__ = ["current_mapping", "save_mapping"]


def save_mapping(rows: Sequence[Mapping[str, Any]], *, approved_by: str, note: str = "") -> ExamMapping:
    """Keep a new version of the mapping; the same rows as the current version give that version back.

    Parameters
    ----------
    rows : sequence of mapping
        JSON-ready rows, in the order in which they apply.
    approved_by : str
        Who answers for it.
    note : str
        What changed.

    Raises
    ------
    RoleError
        Nobody approves it.
    """
    role = named_role(approved_by)
    plain = clean_values([dict(row) for row in rows])
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    with transaction.atomic():
        current = current_mapping()
        if current is not None and current.sha256 == digest:
            return current
        version = (ExamMapping.objects.aggregate(last=Max("version"))["last"] or 0) + 1
        return ExamMapping.objects.create(
            version=version,
            rows=plain,
            sha256=digest,
            note=note,
            approved_by=role,
            approved_at=dt.datetime.now(dt.UTC),
        )


def current_mapping() -> ExamMapping | None:
    """The latest version, or None before the first."""
    return ExamMapping.objects.order_by("-version").first()
