"""One process of several that train a small model together, or the only one: `python -m tests.learning.one_of_several SETTINGS.json`.

Launched as a user's would be, by the environment. It leaves `rank0.npz`, ... with losses, metrics and every variable.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_resnet import layers, learning

EXAMPLES, TESTS, SIDE = 24, 13, 6


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of which each batch's second half is far brighter: what one part sees is not what the other sees."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, SIDE, SIDE, 3)) + 4.0 * (np.arange(count) % 8 > 3)[:, None, None, None]
    return images.astype("float32"), (np.arange(count) % 3).astype("int32")


def model(norm: str = "batch") -> keras.Model:
    """Batch normalization of maps and of vectors."""
    x = inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    if norm == "batch":
        x = layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Activation("relu")(x))
    x = keras.layers.Dense(5)(x)
    if norm == "batch":
        x = layers.BatchNormalization(momentum=0.8)(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


class Losses(keras.callbacks.Callback):
    """The loss of each step; and in the midst of them an end without a word, if one is asked for."""

    def __init__(self, dies_behind: int | None):
        super().__init__()
        self.steps, self.dies_behind = 0, dies_behind

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.dies_behind:
            os._exit(9)


def main(settings: dict) -> None:
    """Trains, and writes what came of it."""
    if settings.get("devices") and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * len(settings["devices"])
        )
    replicas = learning.distribute(settings["sync_norm"], devices=settings.get("devices"), timeout=settings.get("timeout", 60))
    keras.utils.set_random_seed(1 + (replicas.rank if keras.backend.backend() == "torch" else 0))
    with replicas.scope():
        made = model()
        if settings.get("weights"):
            with np.load(settings["weights"]) as file:
                made.set_weights([file[f"start{i}"] for i in range(len(made.weights))])
        start = made.get_weights()
        made.compile(
            learning.SGD(0.02, momentum=0.9, weight_decay=1e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    replicas.adopt(made)
    images, labels = examples(EXAMPLES)
    data = learning.Batches(images, labels, batch_size=8, shuffle=False, drop_remainder=True, part=replicas.part)
    tests = learning.Batches(*examples(TESTS), batch_size=8, shuffle=False, part=replicas.part_to_test(TESTS, 8))
    watch = Losses(settings.get("dies_behind") if replicas.rank == 1 else None)
    history = made.fit(
        replicas.training(data),
        steps_per_epoch=1,  # so that the log of an epoch is that of a step
        epochs=settings.get("steps", 5),
        validation_data=replicas.testing(tests),
        callbacks=[watch],
        shuffle=False,
        verbose=0,
    ).history
    found = {f"end{i}": value for i, value in enumerate(made.get_weights())} | {f"start{i}": value for i, value in enumerate(start)}
    found |= {name: np.array(values) for name, values in history.items()}
    found["predicted"] = np.asarray(made.predict_on_batch(examples(TESTS)[0]))
    np.savez(pathlib.Path(settings["folder"]) / f"rank{replicas.rank}.npz", count=replicas.count, **found)
    replicas.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    os._exit(0)  # TensorFlow's collectives may keep a process from ending
