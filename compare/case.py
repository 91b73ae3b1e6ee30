"""One case of the comparison: images, what is asked about them, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Case", "Quantity"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is asked.

    Parameters
    ----------
    name : str
        As the programs' adapters give it.
    unit : str
        Of truth and values; ``1`` for a ratio.
    truth : float or None
        Computed, never measured; `None` for a real image whose truth nobody knows.
    target : float or None
        Largest error that this project set itself before it measured anything.
    relative : bool
        Whether `target` is a share of the truth.
    computed : bool
        Whether the truth is one; else it is nominal or documented, is shown, and counts for nothing.
    """

    name: str
    unit: str = "1"
    truth: float | None = None
    target: float | None = None
    relative: bool = False
    computed: bool = True

    @property
    def allowed(self) -> float | None:
        """Largest error in the quantity's unit."""
        if self.truth is None or self.target is None:
            return None
        return self.target * abs(self.truth) if self.relative else self.target


@dataclass(frozen=True, slots=True)
class Case:
    """A set of images and who is asked about it.

    Parameters
    ----------
    id, group, title : str
        Name on the command line, chapter of the document, heading.
    task : str
        Name of the adapters' task.
    programs : tuple of str
        Which of ``ours``, ``pylinac`` and ``hazen`` can be asked.
    prepare : callable
        Writes the images into an empty folder (or finds them), gives back where they are and what is asked.
    effort : int
        0 runs even with ``--quick``, 1 by default, 2 with ``--everything``.
    note : str
        What a reader has to know.
    """

    id: str
    group: str
    title: str
    task: str
    programs: tuple[str, ...]
    prepare: Callable[[Path], tuple[Path, list[Quantity]]]
    effort: int = 1
    note: str = ""
