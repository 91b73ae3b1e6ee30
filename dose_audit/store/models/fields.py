"""Field types of our own: clean text, alone and in JSON, and a local wall-clock time, as a scanner writes it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models

from dose_audit.texts import clean, clean_values

__all__ = ["CleanJSONField", "CleanTextField", "LocalDateTimeField"]


class CleanTextField(models.TextField):
    """Text that is clean (`dose_audit.texts`) once it is stored, and in what is asked of the store.

    Notes
    -----
    The one door for what people and files bring in by the way of Django: sites, registers, reasons, findings, results.
    To the database and to migrations it is Django's own field.
    """

    def get_prep_value(self, value: Any) -> Any:
        """The text as it is stored and looked for."""
        value = super().get_prep_value(value)
        return clean(value) if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """As Django's own field."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs


class CleanJSONField(models.JSONField):
    """JSON whose texts and keys are clean once it is stored; otherwise as `CleanTextField`."""

    def get_prep_value(self, value: Any) -> Any:
        """The value as it is stored."""
        return super().get_prep_value(clean_values(value))

    def deconstruct(self) -> Any:
        """As Django's own field."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs


class LocalDateTimeField(models.Field):
    """A date and time without time zone, stored and returned as sent.

    Notes
    -----
    Scanners write the time of their own wall clock and mostly no offset. To turn that into UTC would be a guess, so the
    naive time is kept, with the offset (where there was one) in a column beside it.
    """

    description = "Local date and time as sent"

    def db_type(self, connection: Any) -> str:
        """Column type: ``timestamp`` on PostgreSQL, ISO text under SQLite's ``datetime`` affinity."""
        return "timestamp without time zone" if connection.vendor == "postgresql" else "datetime"

    def get_prep_value(self, value: Any) -> Any:
        """ISO text with a space, which both databases read and sort."""
        value = self.to_python(value)
        return None if value is None else value.isoformat(" ")

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> dt.datetime | None:
        """Read a row's value back as a naive datetime."""
        return self.to_python(value)

    def to_python(self, value: Any) -> dt.datetime | None:
        """Accept a datetime or ISO text; an offset is dropped, not applied."""
        if value is None:
            return None
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value)
        return value.replace(tzinfo=None)
