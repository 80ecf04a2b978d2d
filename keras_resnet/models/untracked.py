"""What an attribute of a model or an optimizer holds unseen."""

from typing import Any


class Untracked:
    """What neither Keras nor TensorFlow is to find in an attribute: they would take layers and variables in it for more of its owner's.

    Args:
        value: anything; it is read and set as `value`.
    """

    def __init__(self, value: Any):
        self.value = value
