"""Where the pixels of an augmented picture come from, and reading them there: values in between for pictures, whole labels for masks."""

import functools
import itertools
from collections.abc import Sequence

import numpy as np


def turned(angles: Sequence[float], zoom: float, dims: int) -> np.ndarray:
    """The matrix from an offset in the new picture to one in the old: a rotation in each plane of two axes, and `1 / zoom`.

    Args:
        angles: in radians, for the planes in the order (0, 1), (0, 2), (1, 2).
        zoom: above 1 things grow.
        dims: 2 or 3.
    """
    matrix = np.eye(dims) / zoom
    for (i, j), angle in zip(itertools.combinations(range(dims), 2), angles, strict=True):
        plane = np.eye(dims)
        plane[i, i] = plane[j, j] = np.cos(angle)
        plane[i, j], plane[j, i] = np.sin(angle), -np.sin(angle)
        matrix = matrix @ plane
    return matrix


def coordinates(shape: Sequence[int], centre: np.ndarray, matrix: np.ndarray) -> list[np.ndarray]:
    """For each pixel of a new picture of this `shape` its place in the old one along each axis, `centre + matrix @ offset`."""
    offsets = np.meshgrid(*(np.arange(size, dtype="float32") - np.float32((size - 1) / 2) for size in shape), indexing="ij", sparse=True)
    places = []
    for row, middle in zip(matrix, centre, strict=True):
        place = np.full(tuple(shape), middle, "float32")
        for factor, offset in zip(row, offsets, strict=True):
            place += np.float32(factor) * offset
        places.append(place)
    return places


def displacement(generator: np.random.Generator, shape: Sequence[int], deviation: float, spacing: int) -> list[np.ndarray]:
    """A smooth random field along each axis: normal numbers each `spacing` pixels, and Catmull-Rom splines between them."""
    fields = []
    for _ in shape:
        field = generator.standard_normal([-(-size // spacing) + 3 for size in shape]).astype("float32") * np.float32(deviation)
        for size in shape:  # the first axis goes, and comes back last: once around
            field = np.tensordot(field, _spline(size, spacing), axes=(0, 1))
        fields.append(field)
    return fields


@functools.lru_cache(maxsize=32)
def _spline(size: int, spacing: int) -> np.ndarray:
    """`(size, knots)`: what each knot counts at each pixel."""
    knot, t = np.divmod(np.arange(size) / spacing, 1)
    weights = np.stack(
        [-0.5 * t**3 + t**2 - 0.5 * t, 1.5 * t**3 - 2.5 * t**2 + 1, -1.5 * t**3 + 2 * t**2 + 0.5 * t, 0.5 * t**3 - 0.5 * t**2], axis=1
    )
    matrix = np.zeros((size, -(-size // spacing) + 3), "float32")
    np.put_along_axis(matrix, knot.astype(int)[:, None] + np.arange(4), weights.astype("float32"), axis=1)
    return matrix


def outside(shape: Sequence[int], places: Sequence[np.ndarray]) -> np.ndarray:
    """Which places lie in no pixel of a picture of this `shape`."""
    away = np.zeros(places[0].shape, bool)
    for size, place in zip(shape, places, strict=False):
        away |= (place < -0.5) | (place > size - 0.5)
    return away


def linear(image: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """A picture's values in between its pixels, float32; outside those at its border."""
    *sizes, channels = image.shape
    flat = np.ascontiguousarray(image).reshape(-1, channels)
    base, steps, parts = np.zeros(places[0].shape, "int64"), [], []
    for axis, (size, place) in enumerate(zip(sizes, places, strict=True)):
        place = np.clip(place, 0, size - 1)
        lower = np.minimum(place.astype("int64"), max(0, size - 2))
        stride = int(np.prod(sizes[axis + 1 :]))
        base += lower * stride
        steps.append(stride if size > 1 else 0)
        parts.append((place - lower).astype("float32"))
    result = np.zeros((*places[0].shape, channels), "float32")
    for corner in itertools.product((0, 1), repeat=len(sizes)):
        weight = np.ones((), "float32")
        for upper, part in zip(corner, parts, strict=True):
            weight = weight * (part if upper else 1 - part)
        values = np.take(flat, base + sum(step for upper, step in zip(corner, steps, strict=True) if upper), axis=0)
        result += values * weight[..., None]
    return result


def nearest(mask: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """The labels of the pixels that places lie in; outside those at the border."""
    index = tuple(np.clip(np.floor(place + 0.5).astype("int64"), 0, size - 1) for size, place in zip(mask.shape, places, strict=False))
    return mask[index]


def blurred(image: np.ndarray, deviation: float) -> np.ndarray:
    """A float picture through a Gaussian kernel of this standard deviation in pixels along each axis, borders repeated."""
    reach = max(1, int(np.ceil(3 * deviation)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel = (kernel / kernel.sum()).astype("float32")
    for axis in range(image.ndim - 1):
        margins = [(reach, reach) if i == axis else (0, 0) for i in range(image.ndim)]
        padded, size = np.pad(image, margins, mode="edge"), image.shape[axis]
        image = np.zeros_like(image)
        for shift, weight in enumerate(kernel):
            image += weight * padded[(slice(None),) * axis + (slice(shift, shift + size),)]
    return image


def coarsened(image: np.ndarray, factor: float) -> np.ndarray:
    """A float picture read at the nearest pixels of a grid with `factor` times as many along each axis, and linearly between those."""
    sizes = np.array(image.shape[:-1])
    few = np.maximum(1, np.rint(sizes * factor)).astype(int)
    small = nearest(image, coordinates(few.tolist(), (sizes - 1) / 2, np.diag(sizes / few)))
    return linear(small, coordinates(image.shape[:-1], (few - 1) / 2, np.diag(few / sizes)))
