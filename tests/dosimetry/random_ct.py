"""Random patients and phantoms on random supports, with the water-equivalent area of the body alone as the truth.

A scene is painted on a grid finer than the image; which fine pixels are body is known, so the truth is an area integral
of ``HU/1000 + 1`` over the body, whatever lies around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

FINER = 3
PLAIN_TABLES = ("none", "plate", "shells", "curved", "mattress", "clear")
HARD_TABLES = ("slab", "narrow slab", "pad", "cup", "soft cup", "block")
BODIES = (
    "cylinder", "ellipse", "superellipse", "flat back", "folded back", "thorax", "arms down", "head", "eared head",
    "infant", "legs", "obese",
)  # fmt: skip
EXTRAS = ("strap", "blanket", "clothes", "pillow", "cable", "metal", "cut", "padding", "cone beam", "turned")


@dataclass
class Scene:
    """One image and its truth.

    Attributes
    ----------
    image_hu : ndarray of float32, shape (H, W)
    pixel_mm : float
    dw_mm : float
        True water-equivalent diameter of the whole body, also of what the field of view cuts off.
    body, table : str
    extras : tuple of str
    """

    image_hu: Plane
    pixel_mm: float
    dw_mm: float
    body: str
    table: str
    extras: tuple[str, ...] = ()


@dataclass
class _Canvas:
    """Painting in mm, x to the right and y down; the body over all else."""

    size: int
    fov_mm: float
    x: Plane = field(init=False)
    y: Plane = field(init=False)
    body_hu: Plane = field(init=False)
    body: Mask = field(init=False)
    rest: Plane = field(init=False)

    def __post_init__(self) -> None:
        fine = self.size * FINER
        axis = ((np.arange(fine) - (fine - 1) / 2) * self.fov_mm / fine).astype(np.float32)
        self.x, self.y = axis[None, :], axis[:, None]
        self.body = np.zeros((fine, fine), bool)
        self.body_hu = np.zeros((fine, fine), np.float32)
        self.rest = np.full((fine, fine), -1000, np.float32)


Inside = Callable[[Plane, Plane], Mask]


@dataclass
class _Part:
    inside: Inside
    hu: float


def _ellipse(a: float, b: float, x0: float = 0.0, y0: float = 0.0, power: float = 2.0) -> Inside:
    return lambda x, y: np.abs((x - x0) / a) ** power + np.abs((y - y0) / b) ** power < 1


def _bones_and_gas(rng: np.random.Generator, a: float, b: float) -> list[_Part]:
    parts = [_Part(_ellipse(0.13 * a, 0.16 * b, 0, 0.6 * b), float(rng.uniform(150, 500)))]
    for _ in range(int(rng.integers(0, 4))):
        where = rng.uniform(-0.45, 0.45, 2)
        wide, high = (float(side) * b for side in rng.uniform(0.05, 0.18, 2))
        parts.append(_Part(_ellipse(wide, high, where[0] * a, where[1] * b), -900.0))
    return parts


def _trunk(rng: np.random.Generator, kind: str) -> list[_Part]:
    """A trunk about the origin: fat, muscle, spine and gas, or lungs."""
    a, b = float(rng.uniform(120, 210)), float(rng.uniform(80, 140))
    if kind == "infant":
        a, b = float(rng.uniform(42, 75)), float(rng.uniform(36, 60))
    power = float(rng.uniform(2.2, 3.2)) if kind == "superellipse" else 2.0
    skin = float(rng.uniform(4, 8) if kind == "infant" else rng.uniform(6, 30))
    back = b * float(rng.uniform(0.7, 0.92)) if kind == "flat back" else 2 * b

    def within(margin: float) -> Inside:
        outline = _ellipse(a - margin, b - margin, power=power)
        return lambda x, y: outline(x, y) & (y < back - margin)

    if kind == "folded back":
        within = _folded(a, b, float(rng.uniform(5, 20)))
        skin = float(rng.uniform(8, 22))
    parts = [_Part(within(0), float(rng.uniform(-115, -80))), _Part(within(skin), float(rng.uniform(20, 60)))]
    if kind in ("thorax", "arms down") or (kind == "infant" and rng.random() < 0.5):
        lung = float(rng.uniform(-880, -700))
        wide, high = 0.32 * a, 0.58 * b
        parts += [_Part(_ellipse(wide, high, side * 0.48 * a, -0.05 * b), lung) for side in (-1, 1)]
        parts.append(_Part(_ellipse(0.12 * a, 0.15 * b, 0, 0.55 * b), float(rng.uniform(150, 500))))
        for turn in rng.uniform(0, math.tau, 6):
            at = (0.86 * a * math.cos(turn), 0.84 * b * math.sin(turn))
            parts.append(_Part(_ellipse(0.04 * a, 0.04 * a, *at), 500.0))
    else:
        parts += _bones_and_gas(rng, a, min(b, back))
    if kind == "arms down":
        radius = float(rng.uniform(32, 48))
        gap = float(rng.choice([-4.0, 0.0, 12.0]))
        for side in (-1, 1):
            at = (side * (a + radius + gap), float(rng.uniform(-0.2, 0.5)) * b)
            parts += [_Part(_ellipse(radius, radius, *at), 30.0), _Part(_ellipse(11, 11, *at), 700.0)]
    if kind == "obese":
        for side in (-1, 1):
            at = (side * 0.55 * a, -0.75 * b)
            parts.insert(0, _Part(_ellipse(0.42 * a, 0.55 * b, *at), -95.0))
    return parts


def _folded(a: float, b: float, fold: float) -> Callable[[float], Inside]:
    """Fat of even thickness at the back, from the fold behind one armpit to the other; above it lies next to none."""

    def within(margin: float) -> Inside:
        def inside(x: Plane, y: Plane) -> Mask:
            back = 1 / (1 + np.exp(-np.clip(y / 5, -30, 30)))  # a fold is no edge: it spreads over some 2 cm
            thick = min(margin, 3) + max(0.0, margin - 3) * back
            return (x / (a - fold * (1 - back) - thick)) ** 2 + (y / (b - thick)) ** 2 < 1

        return inside

    return within


def _head(rng: np.random.Generator, ears: bool) -> list[_Part]:
    a, b = float(rng.uniform(62, 80)), float(rng.uniform(82, 102))
    skull = float(rng.uniform(4, 8))
    scalp = float(rng.uniform(3, 7))
    parts = [
        _Part(_ellipse(a, b), float(rng.uniform(-60, 30))),
        _Part(_ellipse(a - scalp, b - scalp), float(rng.uniform(500, 1000))),
        _Part(_ellipse(a - scalp - skull, b - scalp - skull), 35.0),
    ]
    if ears:
        thick, long = float(rng.uniform(3, 8)), float(rng.uniform(18, 30))
        for side in (-1, 1):
            turn = side * float(rng.uniform(0.0, 0.5))
            x0, y0 = side * (a + float(rng.uniform(-1, 8))), float(rng.uniform(0, 25))

            def ear(x: Plane, y: Plane, x0: float = x0, y0: float = y0, turn: float = turn) -> Mask:
                u = (x - x0) * math.cos(turn) + (y - y0) * math.sin(turn)
                v = -(x - x0) * math.sin(turn) + (y - y0) * math.cos(turn)
                return (u / thick) ** 2 + (v / long) ** 2 < 1

            parts.insert(0, _Part(ear, 0.0))
        nose = float(rng.uniform(10, 22))
        parts.insert(0, _Part(_ellipse(13, nose, 0, -b), 20.0))
    return parts


def _legs(rng: np.random.Generator) -> list[_Part]:
    radius = float(rng.uniform(45, 90))
    apart = radius + float(rng.choice([0.0, rng.uniform(2, 30)]))
    parts = []
    for side in (-1, 1):
        at = (side * apart, float(rng.uniform(-5, 5)))
        parts += [
            _Part(_ellipse(radius, radius, *at), -90.0),
            _Part(_ellipse(radius - 9, radius - 9, *at), 50.0),
            _Part(_ellipse(14, 14, *at), 900.0),
        ]
    return parts


def _cylinder(rng: np.random.Generator) -> list[_Part]:
    radius = float(rng.uniform(70, 170))
    wall = float(rng.choice([0.0, rng.uniform(3, 10)]))
    return [_Part(_ellipse(radius, radius), 120.0), _Part(_ellipse(radius - wall, radius - wall), 0.0)]


def _body(rng: np.random.Generator, kind: str) -> list[_Part]:
    if kind == "cylinder":
        return _cylinder(rng)
    if "head" in kind:
        return _head(rng, ears=kind == "eared head")
    return _legs(rng) if kind == "legs" else _trunk(rng, kind)


def _plate(top: float, thick: float, half: float, shift: float) -> Inside:
    return lambda x, y: (np.abs(x - shift) < half) & (y >= top) & (y < top + thick)


def _arc(bottom: float, radius: float, deep: float, half: float, shift: float) -> Inside:
    """Between two circles, concave to the top, whose lowest upper point is at `bottom`."""
    middle = bottom - radius

    def inside(x: Plane, y: Plane) -> Mask:
        far = (x - shift) ** 2 + (y - middle) ** 2
        return (far >= radius**2) & (far < (radius + deep) ** 2) & (np.abs(x - shift) < half) & (y > middle)

    return inside


def _table(rng: np.random.Generator, kind: str, bottom: float, sunk: float, canvas: _Canvas) -> list[_Part]:
    """What a body that ends at `bottom` rests on; it may have sunk into soft things."""
    half, shift = float(rng.uniform(190, 260)), float(rng.uniform(-30, 30))
    wall, deep = float(rng.uniform(1.0, 3.5)), float(rng.uniform(25, 70))
    wall_hu, foam_hu = float(rng.uniform(-300, 250)), float(rng.uniform(-970, -900))
    plain = [
        _Part(_plate(bottom, deep, half, shift), wall_hu),
        _Part(_plate(bottom + wall, deep - 2 * wall, half - wall, shift), foam_hu),
    ]
    if kind == "plate":
        return [_Part(_plate(bottom, float(rng.uniform(1.5, 6)), half, shift), wall_hu)]
    if kind == "shells":
        return plain
    if kind == "clear":
        away = float(rng.uniform(5, 30))
        return [_Part(_plate(bottom + away, deep, half, shift), wall_hu)]
    if kind == "curved":
        radius = float(rng.uniform(300, 700))
        return [
            _Part(_arc(bottom, radius, deep, half, 0), wall_hu),
            _Part(_arc(bottom + wall, radius + wall, deep - 2 * wall, half - wall, 0), foam_hu),
        ]
    if kind == "slab":
        return [_Part(_plate(bottom, float(rng.uniform(8, 70)), half, shift), float(rng.uniform(-250, 120)))]
    if kind == "narrow slab":
        narrow = float(rng.uniform(60, 160))
        return [_Part(_plate(bottom, float(rng.uniform(8, 50)), narrow, shift), float(rng.uniform(-250, 120)))]
    if kind in ("mattress", "pad"):
        thick = float(rng.uniform(10, 60))
        hu = float(rng.uniform(-985, -850) if kind == "mattress" else rng.uniform(-800, -200))
        below = [_Part(_plate(bottom - sunk + thick, deep, half, shift), wall_hu)]
        below.append(_Part(_plate(bottom - sunk + thick + wall, deep - 2 * wall, half - wall, shift), foam_hu))
        return [*below, _Part(_plate(bottom - sunk, thick, half * float(rng.uniform(0.7, 1)), shift), hu)]
    if kind == "block":
        up = float(rng.uniform(15, 60))
        columns = canvas.x[0, canvas.body.any(axis=0)]
        wide = float(np.abs(columns).max()) * float(rng.uniform(1.0, 1.4)) + 5
        return [_Part(_plate(bottom - up, up + float(rng.uniform(0, 15)), wide, 0), float(rng.uniform(-800, 80)))]
    assert kind in ("cup", "soft cup")
    thick = float(rng.uniform(4, 20))
    hu = float(rng.uniform(-250, 250) if kind == "cup" else rng.uniform(-900, -250))
    rows = canvas.y[canvas.body.any(axis=1), 0]
    level = float(rng.uniform(0.5, 0.9))
    top = float(rows[0] * (1 - level) + rows[-1] * level)
    pixel = canvas.fov_mm / canvas.size / FINER
    near = ndimage.distance_transform_edt(~_filled(canvas.body)) * pixel
    return [_Part(lambda x, y: (near < thick) & (y > top), hu)]


def _filled(mask: Mask) -> Mask:
    return ndimage.binary_fill_holes(mask)


def _turned(parts: list[_Part], degrees: float) -> list[_Part]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def turn(inside: Inside) -> Inside:
        return lambda x, y: inside(c * x + s * y, -s * x + c * y)

    return [_Part(turn(part.inside), part.hu) for part in parts]


def draw_scene(seed: int, *, body: str = "", table: str = "", extras: tuple[str, ...] | None = None) -> Scene:
    """Draw a scene; the same seed gives the same one.

    Parameters
    ----------
    seed : int
    body, table : str, optional
        One of `BODIES`, `PLAIN_TABLES` or `HARD_TABLES`; drawn when not given.
    extras : tuple of str, optional
        Of `EXTRAS`; drawn when not given.

    Returns
    -------
    Scene
    """
    rng = np.random.default_rng(seed)
    body = body or str(rng.choice(BODIES))
    table = table or str(rng.choice(PLAIN_TABLES + HARD_TABLES))
    if extras is None:
        extras = tuple(name for name in EXTRAS if rng.random() < 0.06)
    size = int(rng.choice([200, 256, 320]))
    parts = _turned(_body(rng, body), float(rng.uniform(-6, 6)))
    if "turned" in extras:
        parts = _turned(parts, float(rng.choice([90.0, 180.0, -90.0, rng.uniform(-60, 60)])))
    extent = 2.1 * _reach(parts)
    fov = float(np.clip(extent * rng.uniform(1.05, 1.5), 150, 700))
    if "cut" in extras:
        fov = extent * float(rng.uniform(0.75, 1.0))
    canvas = _Canvas(size, max(fov, extent) * 1.25 if "cut" in extras else fov)
    spare = max(0.0, (fov - extent) / 2)
    offset = rng.uniform(-0.7, 0.7, 2) * spare
    shifted = [_Part(_moved(part.inside, *offset), part.hu) for part in parts]
    for part in shifted:
        inside = np.broadcast_to(part.inside(canvas.x, canvas.y), canvas.body.shape)
        canvas.body |= inside
        canvas.body_hu[inside] = part.hu
    bottom = float(canvas.y[canvas.body.any(axis=1), 0][-1]) + canvas.fov_mm / size / FINER / 2
    sunk = float(rng.uniform(0, 25)) if table in ("mattress", "pad") else 0.0
    if table != "none":
        for part in _table(rng, table, bottom, sunk, canvas):
            canvas.rest[np.broadcast_to(part.inside(canvas.x, canvas.y), canvas.rest.shape)] = part.hu
    _add_extras(rng, extras, canvas)
    return _finished(rng, canvas, fov, Scene(canvas.rest, 0.0, 0.0, body, table, extras))


def _moved(inside: Inside, dx: float, dy: float) -> Inside:
    return lambda x, y: inside(x - dx, y - dy)


def _reach(parts: list[_Part]) -> float:
    axis = np.linspace(-350, 350, 141, dtype=np.float32)
    inside = np.zeros((141, 141), bool)
    for part in parts:
        inside |= part.inside(axis[None, :], axis[:, None])
    rows, columns = np.nonzero(inside)
    return float(max(np.abs(axis[rows]).max(), np.abs(axis[columns]).max())) + 5


def _add_extras(rng: np.random.Generator, extras: tuple[str, ...], canvas: _Canvas) -> None:
    pixel = canvas.fov_mm / canvas.size / FINER
    empty = canvas.rest < -990
    rows, columns = np.nonzero(canvas.body.any(1))[0], np.nonzero(canvas.body.any(0))[0]
    top, bottom = float(canvas.y[rows[0], 0]), float(canvas.y[rows[-1], 0])
    if {"strap", "blanket", "clothes"} & set(extras):
        away = ndimage.distance_transform_edt(~_filled(canvas.body)) * pixel
        wrinkle = 3 * np.sin(canvas.x / float(rng.uniform(8, 20))) ** 2
        above = np.broadcast_to(canvas.y < top + 0.7 * (bottom - top), away.shape)
        if "clothes" in extras:
            canvas.rest[empty & (away < rng.uniform(1, 4))] = rng.uniform(-850, -500)
        if "blanket" in extras:
            lies = (away > wrinkle) & (away < wrinkle + rng.uniform(4, 20)) & above
            canvas.rest[empty & lies] = rng.uniform(-960, -800)
        if "strap" in extras:
            canvas.rest[empty & (away < rng.uniform(1.0, 2.5)) & above] = rng.uniform(-300, 50)
    if "pillow" in extras:
        wide = float(rng.uniform(40, 90))
        at = (float(canvas.x[0, columns[0 if rng.random() < 0.5 else -1]]), (top + bottom) / 2)
        canvas.rest[empty & _ellipse(wide, 0.6 * wide, *at)(canvas.x, canvas.y)] = rng.uniform(-985, -900)
    if "cable" in extras:
        for _ in range(3):
            at = (rng.uniform(-0.4, 0.4) * canvas.fov_mm, top - rng.uniform(-1, 30))
            canvas.rest[_ellipse(2.5, 2.5, *map(float, at))(canvas.x, canvas.y)] = 800
    if "metal" in extras:
        at_row, at_column = (int((1 - f) * edge[0] + f * edge[-1]) for f, edge in ((0.6, rows), (0.35, columns)))
        radius = float(rng.uniform(2, 9))
        spot = _ellipse(radius, radius, float(canvas.x[0, at_column]), float(canvas.y[at_row, 0]))
        canvas.body_hu[spot(canvas.x, canvas.y) & canvas.body] = 3071


def _finished(rng: np.random.Generator, canvas: _Canvas, fov: float, scene: Scene) -> Scene:
    image = np.where(canvas.body, canvas.body_hu, canvas.rest)
    pixel_mm = canvas.fov_mm / canvas.size
    water_mm2 = float((canvas.body_hu[canvas.body].astype(np.float64) / 1000 + 1).sum()) * (pixel_mm / FINER) ** 2
    image = image.reshape(canvas.size, FINER, canvas.size, FINER).mean((1, 3), dtype=np.float32)
    image = ndimage.gaussian_filter(image, float(rng.uniform(0.4, 0.9)) / pixel_mm)
    noise = float(rng.uniform(5, 25))
    if "cone beam" in scene.extras:
        noise = float(rng.uniform(40, 90))
        axis = (np.arange(canvas.size) - (canvas.size - 1) / 2) / (canvas.size / 2)
        image += np.where(image > -700, 40 * (axis[:, None] ** 2 + axis[None, :] ** 2), 0).astype(np.float32)
    grain = ndimage.gaussian_filter(rng.normal(0, 1, image.shape), 0.7)
    image = image + (noise / grain.std() * grain).astype(np.float32)
    image = np.clip(np.round(image), -1024, 3071).astype(np.float32)
    if "cut" in scene.extras:
        keep = int(canvas.size * fov / canvas.fov_mm / 2) * 2
        low = (canvas.size - keep) // 2
        image = image[low : low + keep, low : low + keep]
    if {"cut", "padding"} & set(scene.extras):
        axis = np.arange(len(image)) - (len(image) - 1) / 2
        outside = axis[:, None] ** 2 + axis[None, :] ** 2 > (len(image) / 2) ** 2
        image[outside] = rng.choice([-1024, -2000, -3024, -1000])
    scene.image_hu, scene.pixel_mm = image, pixel_mm
    scene.dw_mm = 2 * math.sqrt(water_mm2 / math.pi)
    return scene
