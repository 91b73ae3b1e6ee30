"""Least squares over many pixels: in blocks that can be resampled at little cost, and for a few non-linear parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockFit", "BlockProducts", "block_products", "hermite", "laguerre", "least_squares"]

Floats = NDArray[np.float64]
_RIDGE = 1e-9


@dataclass(frozen=True)
class BlockFit:
    """A least-squares solution, its bootstrap replicates and what it leaves over.

    Parameters
    ----------
    solution : ndarray, shape (p,)
    copies : ndarray, shape (replicates, p)
    residual : ndarray, shape (n,)
    """

    solution: Floats
    copies: Floats
    residual: Floats

    def error(self, column: int) -> float:
        """Standard error of one coefficient."""
        return float(self.copies[:, column].std(ddof=1))


@dataclass(frozen=True)
class BlockProducts:
    """Normal equations of every block, of which any subset of columns can be solved; `design` is divided by `scale`."""

    design: Floats
    values: Floats
    scale: Floats
    squares: Floats
    products: Floats

    def fit(self, columns: list[int], replicates: int, seed: int) -> BlockFit:
        """Solve ``design[:, columns] @ x ≈ values``, and again for blocks drawn with replacement.

        With no replicates asked for, every block is left out once instead, and the departures are enlarged so that their
        standard deviation is the jackknife's standard error: a few solutions that tell which columns matter.
        """
        blocks, size = self.squares.shape[0], len(columns)
        squares = self.squares[:, columns][:, :, columns]
        products = self.products[:, columns]
        full = squares.sum(axis=0)
        ridge = _RIDGE * np.trace(full) / size * np.eye(size)
        best = np.zeros(size)
        rest = self.values
        scaled = self.design[:, columns]
        for _ in range(3):  # refined against the residual, so that neither ridge nor rounding stays
            best = best + np.linalg.solve(full + ridge, scaled.T @ rest)
            rest = self.values - scaled @ best
        if replicates:
            random = np.random.default_rng(seed)
            weights = random.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=max(replicates, 2)).astype(float)
        else:
            weights = 1.0 - np.eye(blocks)
        # Around the best solution, so that the ridge pulls towards it and not towards 0.
        left = products - squares @ best
        systems = np.tensordot(weights, squares, axes=1) + ridge
        shifts = np.linalg.solve(systems, (weights @ left)[:, :, None])[:, :, 0]
        if not replicates:
            shifts = (shifts - shifts.mean(axis=0)) * ((blocks - 1) / np.sqrt(blocks))
        scale = self.scale[columns]
        return BlockFit(best / scale, (best + shifts) / scale, rest)


def block_products(design: Floats, values: Floats, block: NDArray[np.intp], blocks: int) -> BlockProducts:
    """Form the normal equations of each block of rows."""
    scale = np.sqrt(np.mean(design**2, axis=0))
    scale[scale == 0] = 1.0
    order = np.argsort(block, kind="stable")
    ends = np.searchsorted(block[order], np.arange(blocks + 1))
    design = design / scale
    ordered, wanted = design[order], values[order]
    columns = design.shape[1]
    squares, products = np.empty((blocks, columns, columns)), np.empty((blocks, columns))
    for index in range(blocks):
        part = ordered[ends[index] : ends[index + 1]]
        squares[index], products[index] = part.T @ part, part.T @ wanted[ends[index] : ends[index + 1]]
    return BlockProducts(design, values, scale, squares, products)


def least_squares(
    model: Callable[[Floats], tuple[Floats, Floats]], start: Floats, low: Floats, high: Floats, *, steps: int = 60
) -> tuple[Floats, Floats, bool]:
    """Levenberg–Marquardt by normal equations, for many pixels and few parameters.

    Parameters
    ----------
    model : callable
        Residuals (n,) and their derivatives (n, p) at the parameters.
    start, low, high : ndarray, shape (p,)
        Parameters, and the box that they are kept in.

    Returns
    -------
    parameters, residuals, converged
    """
    at = np.clip(start, low, high)
    residual, slopes = model(at)
    cost, damping = float(residual @ residual), 1e-3
    for _ in range(steps):
        normal, gradient = slopes.T @ slopes, slopes.T @ residual
        diagonal = np.maximum(np.diag(normal), 1e-30)
        moved = np.clip(at - np.linalg.solve(normal + damping * np.diag(diagonal), gradient), low, high)
        new_residual, new_slopes = model(moved)
        new_cost = float(new_residual @ new_residual)
        if new_cost <= cost:
            step = np.abs(moved - at) * np.sqrt(diagonal)
            gained = cost - new_cost
            at, residual, slopes, cost = moved, new_residual, new_slopes, new_cost
            damping = max(damping / 10, 1e-12)
            if gained <= 1e-9 * cost or float(step.max()) <= 1e-10 * np.sqrt(cost):
                return at, residual, True
        else:
            damping *= 10
            if damping > 1e8:
                return at, residual, True
    return at, residual, False


def hermite(order: int, at: Floats) -> Floats:
    """Probabilists' Hermite polynomial He_n.

    Examples
    --------
    >>> float(hermite(3, np.array(2.0)))
    2.0
    """
    return np.asarray(np.polynomial.hermite_e.hermeval(at, [0.0] * order + [1.0]))


def laguerre(order: int, at: Floats) -> Floats:
    """Laguerre polynomial L_n.

    Examples
    --------
    >>> float(laguerre(1, np.array(3.0)))
    -2.0
    """
    return np.asarray(np.polynomial.laguerre.lagval(at, [0.0] * order + [1.0]))
