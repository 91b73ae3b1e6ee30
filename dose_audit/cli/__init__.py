"""`dose-audit …`: one file a group of commands; each parses, calls one function and prints.

Nothing heavy is imported before a command needs it: ``dose-audit --help`` answers at once.
Exit codes: 0 done, nothing to act on; 1 failed; 2 wrong usage; 3 ``audit`` has open findings or compared nothing of what
came in, ``reconcile`` misses studies.
"""

from __future__ import annotations

import os
import sys

from dose_audit.cli import (
    audit,
    demo,
    doctor,
    dosimetry,
    dosimetry_skin,
    dosimetry_store,
    drl,
    extract,
    finding,
    mail,
    mapping,
    phantom,
    receive,
    retrieve,
    runs,
    site,
    worksheet,
)
from dose_audit.cli.common import app

__all__ = ["app", "main"]

_COMMANDS = (
    extract,
    receive,
    retrieve,
    audit,
    runs,
    drl,
    dosimetry,
    dosimetry_skin,
    dosimetry_store,
    phantom,
    mapping,
    finding,
    mail,
    worksheet,
    site,
    doctor,
    demo,
)


def main() -> None:
    """Entry point of the ``dose-audit`` program: errors meant for people become one line, not a traceback."""
    from dose_audit.cli.common import run

    # Our matrices are small: threads of the linear algebra gain nothing, and on a busy machine they wait for each other
    # with three times the work. To be said before numpy is imported; processes that are started from here inherit it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrays of millions of exams are made, gone through once and let go: in huge pages, which are cleared whole, a night of
    # the audit took 8 to 25 % more (docs/benchmarks.md).
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    sys.exit(run())


if __name__ == "__main__":
    main()
