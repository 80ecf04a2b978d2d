"""What a network keeps of the row of its weights in the catalogue, checked: a `.keras` file from elsewhere may say anything."""

import math
from collections.abc import Callable
from typing import Any


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_colour(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(map(_is_number, value))


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


# The fields from which the preprocessing of pictures is made. All others are for people to read.
FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "input_size": (_is_size, "an integer of at least 1"),
    "test_input_size": (_is_size, "an integer of at least 1"),
    "crop": (_is_number, "a number"),
    "test_crop": (_is_number, "a number"),
    "crop_mode": (_is_word, "a string"),
    "interpolation": (_is_word, "a string"),
    "mean": (_is_colour, "three numbers"),
    "std": (_is_colour, "three numbers"),
    "mode": (_is_word, "a string"),
}


def checked_row(values: Any) -> dict[str, Any]:
    """The fields of a row, lists as tuples.

    Args:
        values: a row of `keras_resnet.weights.catalogue` as a dictionary, also as JSON gives it.

    Raises:
        ValueError: if it is no dictionary, or a field of `FIELDS` is missing or of another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"`checkpoint` must be None or a row of the catalogue as a dictionary. Received: {type(values).__name__}.")
    for field, (fits, wanted) in FIELDS.items():
        if field not in values:
            raise ValueError(
                f"`checkpoint` lacks the field {field!r}, {wanted}. If it came in a `.keras` file, that was changed by hand or is damaged: "
                "build the network anew and load its weights from the file."
            )
        if not fits(values[field]):
            raise ValueError(f"`checkpoint` must hold {wanted} as {field!r}. Received: {str(values[field])[:100]!r}.")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
