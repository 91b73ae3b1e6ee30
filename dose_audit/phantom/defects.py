"""A defect of this program that one series met: told in its place with its kind, its trace in the log, the others go on."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from dose_audit.phantom.stored import Changed

__all__ = ["told"]

log = logging.getLogger(__name__)


def told(error: Exception, doing: str) -> str:
    """The reason to give for what an error has cost; its trace goes to the log.

    Parameters
    ----------
    error : Exception
        As caught, with its trace.
    doing : str
        What was being done, in words: ``locating CatPhan 504``.

    Returns
    -------
    str
        Kind and place of the error. Never its own text, in the log neither: it may repeat a value from a header.
    """
    if isinstance(error, Changed):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    trace = "".join(traceback.format_list(frames))
    log.error("%s met a defect of this program: %s\n%s", doing, type(error).__name__, trace.rstrip())
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    ours = [frame for frame in frames if "dose_audit" in Path(frame.filename).parts] or list(frames)
    place = f" in {ours[-1].name}, line {ours[-1].lineno} of {Path(ours[-1].filename).name}" if ours else ""
    return f"a defect of this program: {type(error).__name__}{place}; please report it"
