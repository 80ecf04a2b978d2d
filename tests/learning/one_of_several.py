"""One process of several that train a small model together: `python -m tests.learning.one_of_several FOLDER [DEVICE ...]`.

Launched as a user's would be, by the environment. It leaves files with losses, metrics and every variable.
"""

import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_resnet import layers, learning
from keras_resnet.backend import replicas as known

EXAMPLES, TESTS, SIDE, BATCH, STEPS = 24, 13, 6, 8, 6


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of which each batch's second half is far brighter: what one part sees is not what the other sees."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, SIDE, SIDE, 3)) + 4.0 * (np.arange(count) % 8 > 3)[:, None, None, None]
    return images.astype("float32"), (np.arange(count) % 3).astype("int32")


def model() -> keras.Model:
    """Batch normalization of maps and of vectors."""
    x = inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Activation("relu")(x))
    x = layers.BatchNormalization(momentum=0.8)(keras.layers.Dense(5)(x))
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def compiled(momentum: float, start: list[np.ndarray] | None = None) -> keras.Model:
    """The model, ready to be trained from `start`."""
    made = model()
    if start is not None:
        made.set_weights(start)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    more = dict(weight_decay=1e-3, global_clipnorm=2.0, gradient_accumulation_steps=2) if momentum else {}
    made.compile(learning.SGD(0.02, momentum=momentum, **more), loss, metrics=["accuracy"])
    return made


def trained(replicas: learning.Replicas, momentum: float, start: list[np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """What came of it, by name: an epoch is a step, so that the log has the loss of each."""
    with replicas.scope():
        made = compiled(momentum, start)
    replicas.adopt(made)
    began = made.get_weights()  # PyTorch's of the first process
    data = learning.Batches(*examples(EXAMPLES), batch_size=BATCH, shuffle=False, drop_remainder=True, part=replicas.part)
    part = replicas.part_to_test(TESTS, BATCH)
    tests = learning.Batches(*examples(TESTS), batch_size=BATCH, shuffle=False, part=part)
    fetched, tested = replicas.training(data), replicas.testing(tests)
    history = made.fit(fetched, steps_per_epoch=1, epochs=STEPS, validation_data=tested, shuffle=False, verbose=0).history
    found = {name: np.array(values) for name, values in history.items()}
    found |= {f"start{i:02d}": value for i, value in enumerate(began)} | {
        f"end{i:02d}": value for i, value in enumerate(made.get_weights())
    }
    return found | {"predicted": np.asarray(made.predict_on_batch(examples(TESTS)[0]))}


def several_devices(devices: list[str]) -> None:
    """On TensorFlow makes as many of the CPU; on JAX the environment has done so."""
    if devices and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        several = [tf.config.LogicalDeviceConfiguration()] * len(devices)
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], several)


def main(folder: str, devices: list[str]) -> None:
    """Trains with statistics over all parts and over each one, and writes what came of both."""
    several_devices(devices)
    replicas = learning.distribute(devices=devices or None, timeout=60)
    start = None
    for name, sync_norm, momentum in (("together", True, 0.9), ("apart", False, 0.0)):
        known.train_as(known.Replicas(replicas.count, sync_norm))
        keras.utils.set_random_seed(1 + (replicas.rank if keras.backend.backend() == "torch" else 0))
        found = trained(replicas, momentum, start)
        said = replicas.gathered((1 + replicas.rank) * f"I am {replicas.rank}. ".encode())
        assert replicas.gathered(b"") == [b""] * replicas.processes
        start = [value for key, value in found.items() if key.startswith("start")]
        np.savez(pathlib.Path(folder) / f"{name}{replicas.rank}.npz", count=replicas.count, said=said, **found)
    rank = replicas.rank
    if rank == 0:
        time.sleep(1)
        (pathlib.Path(folder) / "last").touch()
    replicas.close()
    if keras.backend.backend() == "tensorflow":  # elsewhere what others still need of this one is sent already
        assert (pathlib.Path(folder) / "last").exists(), f"Process {rank} left before another came."


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
