"""Says where in our code something went wrong, without repeating what the object says."""

from __future__ import annotations

import traceback
from pathlib import Path

__all__ = ["where"]


def where(error: BaseException) -> str:
    """Kind of an error and its place in our code.

    Notes
    -----
    Never the error's own text: it may repeat a value from the object, and with it a patient's name.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "dose_audit" in Path(frame.filename).parts] or list(frames)
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno} ({ours[-1].name})" if ours else ""
    return f"{type(error).__name__}{place}"
