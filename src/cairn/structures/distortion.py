"""Lens distortion: OpenCV's pinhole model (with rational and thin prism terms) and its fisheye model, and the inverses.

Points are in normalized coordinates: (x, y) at depth 1 in the camera's frame. Own formulas and not OpenCV's functions,
because the options of these differ between its versions 4 and 5, and they compute derivatives that are not needed here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ITERATIONS = 50
PRECISION = 1e-12


def distort_pinhole(points: Array, coefficients: Array) -> Array:
    """Returns points (N, 2) as the lens moves them; coefficients (12,) k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4."""
    x, y = points.T
    _, _, p1, p2 = coefficients[:4]
    s1, s2, s3, s4 = coefficients[8:]
    r2 = x * x + y * y
    radial, _ = _radial(r2, coefficients)
    return np.column_stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + s2 * r2),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + s4 * r2),
        ]
    )


def pinhole_jacobian(points: Array, coefficients: Array) -> Array:
    """Returns the derivative (N, 2, 2) of `distort_pinhole` by the points."""
    x, y = points.T
    _, _, p1, p2 = coefficients[:4]
    s1, s2, s3, s4 = coefficients[8:]
    r2 = x * x + y * y
    radial, slope = _radial(r2, coefficients)
    mixed = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    prism_x, prism_y = 2 * (s1 + 2 * s2 * r2), 2 * (s3 + 2 * s4 * r2)
    jacobian = np.empty((len(points), 2, 2))
    jacobian[:, 0, 0] = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x + prism_x * x
    jacobian[:, 0, 1] = mixed + prism_x * y
    jacobian[:, 1, 0] = mixed + prism_y * x
    jacobian[:, 1, 1] = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x + prism_y * y
    return jacobian


def undistort_pinhole(points: Array, coefficients: Array) -> Array:
    """Returns the points (N, 2) that the lens moves to `points`, by Newton's method; NaN where it finds none.

    It finds none outside the part of the plane in which the polynomial can be inverted.
    """
    if not coefficients.any():
        return points.copy()
    found = points.copy()
    active = np.flatnonzero(np.isfinite(points).all(axis=1))
    with np.errstate(all="ignore"):
        for _ in range(ITERATIONS):
            error = distort_pinhole(found[active], coefficients) - points[active]
            wrong = ~(np.abs(error).max(axis=1) <= PRECISION)
            active, error = active[wrong], error[wrong]
            if not len(active):
                break
            (a, b), (c, d) = pinhole_jacobian(found[active], coefficients).transpose(1, 2, 0)
            determinant = a * d - b * c
            step = np.column_stack([d * error[:, 0] - b * error[:, 1], a * error[:, 1] - c * error[:, 0]])
            found[active] -= step / determinant[:, None]
        error = np.abs(distort_pinhole(found, coefficients) - points).max(axis=1)
    found[~(error <= 1e3 * PRECISION)] = np.nan
    return found


def distort_fisheye(points: Array, coefficients: Array) -> Array:
    """Returns points (N, 2) as the lens moves them; coefficients (4,) k1 to k4 of the angle (Kannala, Brandt 2006)."""
    radius = np.hypot(*points.T)
    bent, _ = _bent(np.arctan(radius), coefficients)
    factor = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 1e-12)
    moved: Array = points * factor[:, None]
    return moved


def undistort_fisheye(points: Array, coefficients: Array) -> Array:
    """Returns the points (N, 2) that the lens moves to `points`; NaN where there is none before the camera."""
    bent = np.hypot(*points.T)
    angle = np.minimum(bent, np.pi / 2)
    with np.errstate(all="ignore"):
        for _ in range(ITERATIONS):
            value, slope = _bent(angle, coefficients)
            step = (value - bent) / slope
            angle = angle - step
            if not (np.abs(step) > PRECISION).any():
                break
        value, _ = _bent(angle, coefficients)
        wrong = ~(np.abs(value - bent) <= 1e3 * PRECISION) | (angle < 0) | (angle >= np.pi / 2)
        factor = np.divide(np.tan(angle), bent, out=np.ones_like(bent), where=bent > 1e-12)
    found: Array = np.where(wrong[:, None], np.nan, points * factor[:, None])
    return found


def _radial(r2: Array, coefficients: Array) -> tuple[Array, Array]:
    """Returns the radial factor (N,) at squared radii, and its derivative by them."""
    k1, k2, _, _, k3, k4, k5, k6 = coefficients[:8]
    above, below = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    above_slope, below_slope = k1 + r2 * (2 * k2 + 3 * k3 * r2), k4 + r2 * (2 * k5 + 3 * k6 * r2)
    return above / below, (above_slope * below - above * below_slope) / below**2


def _bent(angle: Array, coefficients: Array) -> tuple[Array, Array]:
    """Returns the distorted angle (N,) of angles in radians, and its derivative by them."""
    k1, k2, k3, k4 = coefficients
    a2 = angle**2
    value = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    slope = 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return value, slope
