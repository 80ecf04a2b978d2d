"""One process of several that do more than add up gradients: `python -m tests.learning.several_ways FOLDER CASES [DEVICE ...]`.

Launched as a user's would be, by the environment. It leaves a file a case with losses and weights.
"""

import dataclasses
import os
import pathlib
import shutil
import sys
import warnings
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_resnet import layers, learning
from keras_resnet.backend import replicas as known
from keras_resnet.diffusion import Diffusion, Schedule
from keras_resnet.models import diffusion_unet
from tests.learning.one_of_several import BATCH, EXAMPLES, STEPS, examples, several_devices

SIDE = 4


def plain(kind: str = "float32", regularizer: str | None = None) -> keras.Model:
    """Statistics over all parts."""
    x = inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, dtype=kind, name="first")(x)
    x = layers.BatchNormalization(momentum=0.8, dtype=kind)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=kind)(keras.layers.Activation("relu", dtype=kind)(x))
    return keras.Model(inputs, keras.layers.Dense(3, kernel_regularizer=regularizer, name="last")(x))


def dropped() -> keras.Model:
    """What draws, and no statistics."""
    x = inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Dense(12, activation="relu")(keras.layers.Flatten()(x))
    x = keras.layers.Dropout(0.5, seed=3)(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def noised() -> keras.Model:
    """A diffusion's network, each of whose pictures has a time and noise of its own."""
    network = diffusion_unet(width=8, multipliers=(1,), depth=1, attention_strides=(), input_shape=(SIDE, SIDE, 3), classes=3)
    return Diffusion(network, Schedule("cosine", 20), label_dropout=0.5, seed=5)


def taught() -> keras.Model:
    """A student, whose loss is its own sum of two, and what its layers add."""
    teacher = plain()
    teacher.set_weights([np.full(weight.shape, 0.1 * i, "float32") for i, weight in enumerate(teacher.get_weights())])
    return learning.Distilled(plain(regularizer="l2"), teacher, weight=0.5, from_logits=True)


def scaled() -> keras.optimizers.Optimizer:
    """Which leaves out steps whose gradients are no numbers on any replica."""
    return keras.optimizers.LossScaleOptimizer(learning.SGD(0.05, momentum=0.9, global_clipnorm=0.3), initial_scale=2.0**6)


CASES: dict[str, tuple[Callable, Callable]] = {
    "clipped": (plain, lambda: learning.SGD(0.05, momentum=0.9, weight_decay=1e-3, global_clipnorm=0.3)),
    "accumulated": (plain, lambda: learning.Lamb(0.01, weight_decay=0.1, clipnorm=0.2, gradient_accumulation_steps=2, use_ema=True)),
    "layerwise": (
        plain,
        lambda: learning.LayerwiseOptimizer(keras.optimizers.Adam(0.01, clipvalue=0.02, gradient_accumulation_steps=3), {"last": 0.1}),
    ),
    "float16": (lambda: plain("mixed_float16"), scaled),
    "distilled": (taught, lambda: learning.SGD(0.05, momentum=0.9)),
    "dropout": (dropped, lambda: learning.SGD(0.05)),
    "diffusion": (noised, lambda: learning.SGD(0.05)),
}
DRAWS = ("dropout", "diffusion")


def compiled(name: str, start: list[np.ndarray] | None = None) -> keras.Model:
    """A case's model, ready to be trained from `start`."""
    build, optimizer = CASES[name]
    made = build()
    if start is not None:
        made.set_weights(start)
    made.compile(optimizer(), *([] if name == "diffusion" else [keras.losses.SparseCategoricalCrossentropy(from_logits=True)]))
    return made


def pictures(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Of which each batch's second half is far brighter. In float16 one is of none of its numbers."""
    images, labels = examples(EXAMPLES)
    images = images[:, :SIDE, :SIDE] / 4
    if name == "float16":
        images[2 * BATCH - 1] = 1e6
    return images, labels


def trained(replicas: learning.Replicas, name: str, start: list[np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """What came of it, by name: an epoch is a step, so that the log has the loss of each."""
    with replicas.scope():
        made = compiled(name, start)
    replicas.adopt(made)
    began = made.get_weights()  # PyTorch's of the first process
    augment = [learning.RandomErasing(chance=0.0)]  # which puts batches on the device
    data = learning.Batches(*pictures(name), augment, batch_size=BATCH, shuffle=False, drop_remainder=True, part=replicas.part)
    history = made.fit(replicas.training(data), steps_per_epoch=1, epochs=STEPS, shuffle=False, verbose=0).history
    found = {"loss": np.array(history["loss"]), "asked": np.array(history["loss"][-1])}
    if replicas.rank:  # alone, and twice
        found["asked"] = np.array([float(made.get_metrics_result()["loss"]) for _ in range(2)][1])
    found |= {f"start{i:02d}": value for i, value in enumerate(began)}
    return found | {f"end{i:02d}": value for i, value in enumerate(made.get_weights())}


def restored(replicas: learning.Replicas, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Which step all restore where each sees other checkpoints: the first one's last is torn; then the others have none of the first's."""
    with replicas.scope():
        made = compiled("dropout")
    replicas.adopt(made)
    if not made.optimizer.built:
        made.optimizer.build(made.trainable_variables)
    for step in (1, 2):
        made.optimizer.iterations.assign(step)
        last = learning.save_checkpoint(folder, made).path
    checkpoint = learning.Checkpoint(folder, write=replicas.is_first)
    if replicas.is_first:
        (last / "state.safetensors").write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checkpoint.restore(made)
    step = checkpoint.last.step
    if not replicas.is_first:
        shutil.rmtree(folder)
    try:
        checkpoint.restore(made)
        said = ""
    except ValueError as error:
        said = str(error)
    return {"step": np.array(step), "refused": np.array("could not do its part" in said or "is not here, which the first" in said)}


def main(folder: str, names: str, devices: list[str]) -> None:
    """Trains each case, those that draw twice, and writes what came of them."""
    several_devices(devices)
    replicas = learning.distribute(devices=devices or None, timeout=60)
    for name in names.split(","):
        known.train_as(dataclasses.replace(known.current, sync_norm=name not in DRAWS))
        keras.utils.set_random_seed(1 + (replicas.rank if keras.backend.backend() == "torch" else 0))
        found = trained(replicas, name)
        start = [value for key, value in found.items() if key.startswith("start")]
        if name in DRAWS:
            again = trained(replicas, name, start)
            found["same"] = np.array(all(np.array_equal(value, again[key]) for key, value in found.items()))
        np.savez(pathlib.Path(folder) / f"{name}{replicas.rank}.npz", **found)
    if replicas.processes > 1:
        found = restored(replicas, pathlib.Path(folder) / f"checkpoints{replicas.rank}")
        np.savez(pathlib.Path(folder) / f"restored{replicas.rank}.npz", **found)
    replicas.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
