"""Of each batch the part that one of several processes has."""

from typing import Any

import numpy as np

from keras_resnet.layers.configured import is_count


def checked_part(part: Any) -> tuple[int, int]:
    """The part itself.

    Raises:
        ValueError: unless it is `(number, parts)`, the number from 0 and below parts.
    """
    whole = isinstance(part, (tuple, list)) and len(part) == 2 and is_count(part[1]) and (part[0] == 0 or is_count(part[0]))
    if not whole or part[0] >= part[1]:
        raise ValueError(f"`part` must be (number, parts), the number from 0 and below parts. Received: part={part!r}.")
    return int(part[0]), int(part[1])


def part_of(chosen: np.ndarray, part: tuple[int, int]) -> np.ndarray:
    """The part of a batch's examples, in order; parts differ by one at most."""
    return np.array_split(chosen, part[1])[part[0]]


def empty_last(count: int, batch_size: int, drop_remainder: bool, part: tuple[int, int]) -> bool:
    """Whether of the last batch, a smaller one, nothing is in the part."""
    rest = count % batch_size
    return 0 < rest <= part[0] and not drop_remainder
