"""Pictures that grow during a training."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_resnet.layers.configured import is_count
from keras_resnet.learning.batches import Batches


class ProgressiveSize(keras.callbacks.Callback):
    """Small pictures first, larger ones later: `callbacks=[ProgressiveSize(batches, {0: 128, 10: 160, 14: 192})]`.

    An epoch of 128 px has a third of the arithmetic of one of 224. The network must take any size, `input_shape=(None, None, 3)`; what is
    compiled is compiled once a size. A network tests best at a size somewhat above the one that it was trained at last.

    Args:
        batches: what `fit` gets, with one `RandomResizedCrop` in `augment`. It is resized at once to the size of the first epoch.
        sizes: height and width in pixels by the epoch from which they hold; one for epoch 0.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Tan and Le 2021, arXiv:2104.00298, section 4; Touvron et al. 2019, arXiv:1906.06423, for the size at test.
    """

    def __init__(self, batches: Batches, sizes: Mapping[int, int]):
        super().__init__()
        if not isinstance(batches, Batches):
            raise ValueError(f"`batches` must be `Batches`. Received: {type(batches).__name__}.")
        right = isinstance(sizes, Mapping) and 0 in sizes and all(is_count(size) for size in sizes.values())
        if not right or not all(epoch == 0 or is_count(epoch) for epoch in sizes):
            raise ValueError(f"`sizes` must be sizes from 1 by epochs, one of which is 0. Received: sizes={sizes!r}.")
        self.batches, self.sizes = batches, {int(epoch): int(size) for epoch, size in sizes.items()}
        batches.resize(self.sizes[0])
        batches.any_size = len(set(self.sizes.values())) > 1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.resize(self.sizes[max(first for first in self.sizes if first <= epoch)])
