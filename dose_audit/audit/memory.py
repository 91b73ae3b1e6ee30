"""Keeps an audit of millions of values from holding on to memory that it no longer uses."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["return_large_arrays"]

_M_MMAP_THRESHOLD = -3  # glibc's <malloc.h>
_LARGE_BYTES = 1 << 20


def return_large_arrays() -> None:
    """Have the C library give an array of a megabyte or more back to the system as soon as it is freed.

    Notes
    -----
    glibc raises that limit by itself to 32 MB, which is a column of four million numbers: below it what is freed stays
    with the process, in pieces between what is still used. Other systems and C libraries are left alone.
    """
    if sys.platform != "linux":
        return
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        change(_M_MMAP_THRESHOLD, _LARGE_BYTES)
