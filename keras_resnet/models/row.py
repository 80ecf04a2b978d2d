"""What a table of variants holds: one `Row` a network."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class Row:
    """One network: what differs from its builder's defaults, and how many trainable parameters it has with its own classes.

    `paper` is the arXiv id of who published it first, also where the numbers follow a later implementation.
    """

    settings: Mapping[str, Any]
    params: int
    builder: Callable[..., keras.Model]
    paper: str
