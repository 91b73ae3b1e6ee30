"""One field type of our own: a local wall-clock time, as a scanner writes it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models


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
