"""Makes a static drawing small: the same picture from a quarter of the elements.

The chart library draws each mark as an element of its own, with words for a reader who can point at it. A still drawing
needs no words inside, for they stand beside it; its marks of one look become one path, and empty frames go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from xml.etree import ElementTree

__all__ = ["lean_drawing"]

_WORDS = ("class", "role", "aria-label", "aria-roledescription", "aria-hidden", "pointer-events")
_OWN_PLACE = {"transform", "d", "x2", "y2"}
_SHIFT = re.compile(r"translate\((-?[\d.]+),(-?[\d.]+)\)")
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
_DISC = re.compile(r"M([\d.]+),0A\1,\1,0,1,1,-\1,0A\1,\1,0,1,1,\1,0")
_PLACES = {"M": "xy", "L": "xy", "H": "x", "V": "y", "C": "xyxyxy", "Q": "xyxy", "S": "xyxy", "A": "-----xy", "Z": ""}
"""What the numbers after a command are: a place along x, along y, or neither (a radius, an angle, a flag)."""

_Box = tuple[float, float, float, float]
_Outline = tuple[tuple[tuple[str, tuple[tuple[str, float], ...]], ...], _Box]


def lean_drawing(drawing: str) -> str:
    """The same drawing with fewer and shorter elements.

    Parameters
    ----------
    drawing : str
        One ``<svg>`` element without namespaces.

    Returns
    -------
    str
        What is seen is the same to a hundredth of a pixel. Marks of one look that overlap and are translucent stay
        apart, so that crowded places stay darker.

    Examples
    --------
    >>> marks = '<path d="M0,0h2" stroke="#abc"/><path transform="translate(5,1)" d="M0,0h2" stroke="#abc"/>'
    >>> lean_drawing(f"<svg><g>{marks}</g></svg>")
    '<svg><path stroke="#abc" d="M0,0H2M5,1H7" /></svg>'
    """
    if "xlink:" in drawing:
        return drawing  # it refers to parts of itself, which then have to stay where they are
    root = ElementTree.fromstring(drawing)
    _simplify(root)
    families = {text.get("font-family") for text in root.iter("text")}
    if len(families) == 1 and (family := families.pop()):
        root.set("font-family", family)
        for text in root.iter("text"):
            del text.attrib["font-family"]
    return ElementTree.tostring(root, encoding="unicode")


def _simplify(parent: ElementTree.Element) -> None:
    """Drop what draws nothing below an element, lift what a bare group holds, join marks of one look."""
    kept: list[ElementTree.Element] = []
    for child in parent:
        if _is_frame(child):
            continue
        if child.tag not in ("defs", "clipPath"):
            for name in _WORDS:
                child.attrib.pop(name, None)
            _simplify(child)
        if child.tag == "g" and (not child.attrib or child.attrib == {"transform": "translate(0,0)"}):
            kept += list(child)
        elif child.tag != "g" or len(child):
            kept.append(child)
    parent[:] = list(_joined(kept))


def _is_frame(child: ElementTree.Element) -> bool:
    """Whether an element is the unseen frame of a group."""
    if child.get("display") == "none":
        return True
    return child.get("class") == "background" and not {"fill", "stroke"} & set(child.attrib)


@dataclass(frozen=True)
class _Mark:
    """A mark that is a path: how it looks, its commands, and a box that holds them."""

    look: tuple[tuple[str, str], ...]
    d: str
    box: _Box


def _joined(children: Iterable[ElementTree.Element]) -> Iterator[ElementTree.Element]:
    """Runs of marks of one look as one path each, or one a layer where they are translucent; all else as it is."""
    marked = [(child, _mark(child)) for child in children]
    for look, run in groupby(marked, key=lambda one: one[1] and one[1].look):
        if look is None:
            yield from (child for child, _ in run)
        else:
            yield from _paths(dict(look), [mark for _, mark in run if mark])


def _paths(look: dict[str, str], marks: list[_Mark]) -> Iterator[ElementTree.Element]:
    filled, drawn = (look.get(name, "none") != "none" for name in ("fill", "stroke"))
    if filled and drawn:  # each covers its neighbours' edges
        yield from (ElementTree.Element("path", {**look, "d": mark.d}) for mark in marks)
        return
    layers: list[Iterable[str]] = [dict.fromkeys(mark.d for mark in marks)]
    if any(float(look.get(name, 1)) < 1 for name in ("opacity", "fill-opacity", "stroke-opacity")):
        layers = _apart(marks, float(look.get("stroke-width", 1)) if drawn else 0.0)
        if "opacity" in look:
            # One coat of paint needs no group of its own to be translucent.
            look["fill-opacity" if filled else "stroke-opacity"] = look.pop("opacity")
    if look.get("opacity") == "1":
        del look["opacity"]
    for layer in layers:
        yield ElementTree.Element("path", {**look, "d": "".join(layer)})


def _apart(marks: list[_Mark], stroke: float) -> list[Iterable[str]]:
    """Marks sorted into layers within which none touches another."""
    layers: list[tuple[list[str], list[_Box]]] = []
    for mark in marks:
        left, top, right, bottom = mark.box
        left, top, right, bottom = left - stroke, top - stroke, right + stroke, bottom + stroke
        free = (
            layer
            for layer in layers
            if not any(left < box[2] and right > box[0] and top < box[3] and bottom > box[1] for box in layer[1])
        )
        layer = next(free, None)
        if layer is None:
            layers.append(layer := ([], []))
        layer[0].append(mark.d)
        layer[1].append(mark.box)
    return [texts for texts, _ in layers]


def _mark(child: ElementTree.Element) -> _Mark | None:
    """An element as a mark; None for what is no path, or is turned or scaled."""
    if child.tag not in ("path", "line") or len(child):
        return None
    dx, dy = 0.0, 0.0
    if shift := child.get("transform"):
        found = _SHIFT.fullmatch(shift)
        if found is None:
            return None
        dx, dy = float(found[1]), float(found[2])
    look = {name: value for name, value in child.attrib.items() if name not in _OWN_PLACE}
    d = f"M0,0L{child.get('x2', '0')},{child.get('y2', '0')}" if child.tag == "line" else child.get("d", "")
    disc = _DISC.fullmatch(d)
    if disc and look.get("fill", "none") != "none" and look.get("stroke", "none") == "none":
        # A dot is the shortest of lines with round ends.
        radius = float(disc[1])
        look |= {"stroke": look.pop("fill"), "stroke-width": _short(2 * radius), "stroke-linecap": "round"}
        d = f"M{_short(dx)},{_short(dy)}H{_short(dx + 0.01)}"
        return _Mark(tuple(sorted(look.items())), d, (dx - radius, dy - radius, dx + radius, dy + radius))
    outline = _outline(d)
    if outline is None:
        return None
    commands, (left, top, right, bottom) = outline
    moves = {"x": dx, "y": dy, "-": 0.0}
    # Half a circle's centre swings far for a small change of its ends.
    places = 4 if "A" in d else 2
    d = "".join(
        letter + ",".join([_short(number + moves[kind], places) for kind, number in told]) for letter, told in commands
    )
    return _Mark(tuple(sorted(look.items())), d, (left + dx, top + dy, right + dx, bottom + dy))


@lru_cache(maxsize=1024)
def _outline(d: str) -> _Outline | None:
    """A path's commands with all places told from its origin, and a box that holds it."""
    commands: list[tuple[str, tuple[tuple[str, float], ...]]] = []
    across: list[float] = []
    along: list[float] = []
    x = y = x0 = y0 = 0.0
    for letter, block in _COMMAND.findall(d):
        kinds = _PLACES.get(letter.upper())
        numbers = [float(number) for number in _NUMBER.findall(block)]
        if kinds is None or (len(numbers) % len(kinds) if kinds else numbers):
            return None
        if not kinds:
            x, y = x0, y0
        told = []
        for start in range(0, len(numbers), max(1, len(kinds))):
            from_x, from_y = (x, y) if letter.islower() else (0.0, 0.0)
            part = numbers[start : start + len(kinds)]
            reach = max(part[:2]) if kinds[0] == "-" else 0.0
            for kind, number in zip(kinds, part, strict=True):
                if kind == "x":
                    number = x = number + from_x
                elif kind == "y":
                    number = y = number + from_y
                told.append((kind, number))
                across += [x - reach, x + reach]
                along += [y - reach, y + reach]
        if letter in "Mm":
            x0, y0 = x, y
        commands.append((letter.upper(), tuple(told)))
    return (tuple(commands), (min(across), min(along), max(across), max(along))) if across else None


def _short(number: float, places: int = 2) -> str:
    """To a hundredth of a pixel, without idle zeros."""
    text = f"{number:.{places}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
