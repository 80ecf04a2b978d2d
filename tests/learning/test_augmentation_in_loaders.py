"""Augmentation layers within PyTorch's and TensorFlow's loaders."""

import keras
import numpy as np
import pytest

from keras_resnet.learning import Batches, Mix, PadAndCrop
from tests.arrays import as_numpy, normal

OTHER = keras.backend.backend() != "tensorflow"


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="other backends do not run in forked processes")
@pytest.mark.parametrize("workers", [0, 2])
def test_draws_differ_by_worker_and_epoch(workers):
    import torch

    layer, image = PadAndCrop(4, seed=3), torch.from_numpy(normal(12, 12, 3))

    def run() -> list[bytes]:
        """Two epochs of four batches of the same pictures."""
        loader = torch.utils.data.DataLoader(
            [image] * 16,
            4,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
            collate_fn=lambda images: layer(torch.stack(images), training=True),
            generator=torch.Generator().manual_seed(7),
        )
        return [as_numpy(batch).tobytes() for _ in range(2) for batch in loader]

    found = run()
    assert len(set(found)) == 8
    if workers:  # whose generators are copies: the layer's own has not moved
        assert run() == found
        assert as_numpy(layer.generator.state).tolist() == [3, 0]
    else:
        twin = PadAndCrop(4, seed=3)
        assert [as_numpy(twin(np.stack([image] * 4), training=True)).tobytes() for _ in range(8)] == found


@pytest.mark.skipif(not OTHER, reason="there they run")
@pytest.mark.parametrize("training", [True, False])
def test_tf_data_of_another_backend_is_refused(training):
    tf = pytest.importorskip("tensorflow")
    images, labels = normal(4, 8, 8, 3), np.arange(4) % 2
    data, layer, mix = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2), PadAndCrop(1, seed=1), Mix(2, seed=1)
    for change in (lambda x, y: (layer(x, training=training), y), lambda x, y: mix((x, y), training=training)):
        with pytest.raises(ValueError, match=r"runs in tf.data on the TensorFlow backend alone.* Augment behind the loader"):
            data.map(change)
    # What is said instead, and tensors that have numbers.
    twin = PadAndCrop(1, seed=1)
    for batch, (eager, _) in zip(data.as_numpy_iterator(), data):
        expected = as_numpy(twin(batch[0], training=True))
        np.testing.assert_array_equal(as_numpy(layer(eager, training=True)), expected)
    assert as_numpy(Batches(images, labels, [layer], batch_size=2)[0][0]).shape == (2, 8, 8, 3)
