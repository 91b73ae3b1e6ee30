"""What the program prints and logs: clean text, so that no name in a file can steer the terminal of whoever reads it."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any, TextIO

from dose_audit.texts import clean, one_line

__all__ = ["CleanStream", "OneLineFormatter", "guard_streams", "unguarded"]


class CleanStream:
    """A text stream that writes clean text to the one behind it, and is that one in all else.

    Examples
    --------
    >>> behind = io.StringIO()
    >>> print("CT" + chr(0x1B) + "[2J", file=CleanStream(behind))
    >>> behind.getvalue()
    'CT�[2J\\n'
    """

    def __init__(self, behind: TextIO) -> None:
        self.behind = behind

    def write(self, text: str) -> int:
        """Write the text; the number of characters that were given."""
        self.behind.write(clean(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write every line."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


def guard_streams() -> None:
    """Let the standard streams of this process write clean text, and never fail for a character that they lack."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, CleanStream):
            continue
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a table with ≤ in it goes to any console and any file
        setattr(sys, name, CleanStream(stream))


def unguarded(stream: TextIO) -> TextIO:
    """The stream behind a guard, for what sends a terminal its colours and has cleaned its texts."""
    return stream.behind if isinstance(stream, CleanStream) else stream


class OneLineFormatter(logging.Formatter):
    """A message is one line, whatever a sender or a file put into it; a traceback below it keeps its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message on one line."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """The traceback, clean."""
        return clean(super().formatException(ei))
