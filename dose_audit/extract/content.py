"""Content items of a structured report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dose_audit.extract._values import PADDING
from dose_audit.extract.codes import Code


class Item:
    """One content item.

    Attributes
    ----------
    value_type : str
        ``CONTAINER``, ``NUM``, ``CODE`` … as sent; empty when absent.
    relationship : str or None
        Relationship to the parent; None for the root.
    concept : Code or None
        Concept Name as sent.
    key : tuple of str or None
        Folded ``(scheme, value)`` of the concept, for look-ups.
    children : sequence of Item
        Content items below, in order.
    text : str or None
        Value of a TEXT, DATETIME, DATE, TIME, UIDREF or PNAME item.
    code : Code or None
        Value of a CODE item.
    number : float or None
        Value of a NUM item, the first where there are several; None when not measured or not a finite number.
    unit : Code or None
        Unit of a NUM item.
    rare : dict or None
        By name, what most items lack: several numbers, qualifier, template, reference, observation.
    raw_bytes : bytes or None
        Numeric Value as it stands in the object; `raw_number` is its text.
    position : str
        Where the item stands in the tree: ``1.3.2`` is the second child of the root's third child.
    """

    __slots__ = (
        "children",
        "code",
        "concept",
        "key",
        "number",
        "position",
        "rare",
        "raw_bytes",
        "relationship",
        "text",
        "unit",
        "value_type",
    )

    value_type: str
    relationship: str | None
    concept: Code | None
    key: tuple[str, str] | None
    children: Sequence[Item]
    text: str | None
    code: Code | None
    number: float | None
    unit: Code | None
    position: str
    raw_bytes: bytes | None
    rare: dict[str, Any] | None

    def __init__(self, position: str) -> None:
        self.position = position
        self.value_type = ""
        self.children = ()
        self.relationship = self.concept = self.key = self.text = self.code = None
        self.number = self.unit = self.raw_bytes = self.rare = None

    @property
    def raw_number(self) -> str | None:
        """Numeric Value as sent."""
        return self.raw_bytes.decode("latin-1").strip(PADDING) if self.raw_bytes is not None else None

    @property
    def numbers(self) -> list[float]:
        """All values of a NUM item, where Numeric Value or Measured Value Sequence holds several."""
        if self.rare and "numbers" in self.rare:
            return self.rare["numbers"]
        return [] if self.number is None else [self.number]

    @property
    def qualifier(self) -> Code | None:
        """Why a NUM item has no value, or what is special about it."""
        return self.rare.get("qualifier") if self.rare else None

    @property
    def observation_uid(self) -> str | None:
        """Observation UID."""
        return self.rare.get("observation_uid") if self.rare else None

    @property
    def observation_datetime(self) -> str | None:
        """Observation DateTime as sent."""
        return self.rare.get("observation_datetime") if self.rare else None

    @property
    def template(self) -> str | None:
        """Template Identifier of a CONTAINER."""
        return self.rare.get("template") if self.rare else None

    @property
    def reference(self) -> tuple[str, str] | None:
        """Referenced SOP Class and Instance UID of an IMAGE, COMPOSITE or WAVEFORM item."""
        return self.rare.get("reference") if self.rare else None

    def find(self, *keys: tuple[str, str]) -> Item | None:
        """The first child whose concept is one of `keys`."""
        for child in self.children:
            if child.key in keys:
                return child
        return None

    def find_all(self, *keys: tuple[str, str]) -> list[Item]:
        """The children whose concept is one of `keys`, in order."""
        return [child for child in self.children if child.key in keys]

    def set_rare(self, name: str, value: object) -> None:
        """Set one of the attributes that most items lack and that therefore have no place of their own."""
        if self.rare is None:
            self.rare = {}
        self.rare[name] = value

    def add_numbers(self, values: list[float]) -> None:
        """Add to the values of a NUM item that has one already."""
        if self.rare is None or "numbers" not in self.rare:
            self.set_rare("numbers", self.numbers)
        self.numbers.extend(values)

    def __repr__(self) -> str:
        return f"<Item {self.position} {self.value_type} {self.concept.meaning if self.concept else None!r}>"


class LateItem(Item):
    """A child of the root of a very large report, whose own children are read each time they are asked for.

    Attributes
    ----------
    read_children : callable or None
        Reads them; raises `ReadError` where they cannot be read.
    """

    __slots__ = ("_set", "read_children")

    def __init__(self, position: str) -> None:
        self.read_children: Callable[[], list[Item]] | None = None
        super().__init__(position)

    @property
    def children(self) -> Sequence[Item]:  # type: ignore[override]
        """The children, read anew unless they were set."""
        return self.read_children() if self.read_children is not None else self._set

    @children.setter
    def children(self, children: Sequence[Item]) -> None:
        self._set = children
        self.read_children = None
