"""Paths: how much of the gradient comes through paths of each length of a trained residual network.

    python -m training.studies paths --data digits
    python -m training.studies paths --data cifar10 --depths 110 --epochs 164

Trains a pre-activation network of n blocks. A path goes through the branches of k of them and around the others. For each k the study draws
some of the paths, sends a batch forward through the whole network and the gradient back along the path alone, and takes its norm at the
image. Times the number of such paths, n over k, that is the share of the length in the gradient. Writes paths.png and paths.md.

Branches of a first block of a stage that changes channels count as any other. The batch norms keep their trained statistics.

Measured on digits (56 layers, 20 epochs, PyTorch): 95 % of the gradient comes through paths of 2 to 9 of 27 blocks, 6 % of all paths, and
the gradient of a path falls by a factor of about 4.5 for each block more.

Source: Veit et al. 2016, arXiv:1605.06431, section 5 and figure 6: of a network of 54 blocks on CIFAR-10 the gradient of a path falls
exponentially with its length; almost all of the gradient comes through paths of 5 to 17 blocks, 0.45 % of all paths. The paper's check,
a training by those paths alone, is not repeated here.
"""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_resnet import learning
from training.data.find import dataset
from training.studies import compared, table
from training.studies.lesion import blocks

BATCH = 32


@keras.saving.register_keras_serializable("keras_resnet_training")
class OneWayBack(keras.layers.Layer):
    """A trained residual block, forward as it is; the gradient goes through the branch alone where `by_branch` is 1, else around it.

    Args:
        block: a pre-activation block, whose output is its branch and its shortcut summed.
        **kwargs: the rest of `keras.layers.Layer`.
    """

    def __init__(self, block: keras.layers.Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.block = block
        self.by_branch = self.add_weight(name="by_branch", shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        shortcut, block = self.block.shortcut_layer, self.block
        around = x if shortcut is None else block.leave(shortcut.bring(block.enter(x), False))
        branch = self.block(x) - around
        chosen = ops.convert_to_tensor(self.by_branch)
        gradient = chosen * branch + (1 - chosen) * around
        return ops.stop_gradient(branch + around - gradient) + gradient

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.block.compute_output_shape(input_shape)


@keras.saving.register_keras_serializable("keras_resnet_training")
class Offset(keras.layers.Layer):
    """Adds zeros to a batch that are trainable: their gradient is that of the images."""

    def build(self, input_shape: tuple) -> None:
        self.offset = self.add_weight(name="offset", shape=(BATCH, *input_shape[1:]), initializer="zeros")

    def call(self, x: Any) -> Any:
        return x + self.offset


class Tracer:
    """Measures the gradient that comes back along single paths of a network.

    Args:
        network: a trained pre-activation network of the zoo, frozen by this.
    """

    def __init__(self, network: keras.Model):
        network.trainable = False
        chosen = blocks(network)
        self.steps = [OneWayBack(block, name=f"back_{block.name}") for block in chosen]
        around = dict(zip((block.name for block in chosen), self.steps, strict=True))
        images = keras.Input(network.input_shape[1:], batch_size=BATCH)
        x = Offset(name="offset")(images)
        for layer in network.layers[1:]:
            x = around.get(layer.name, layer)(x)
        self.model = keras.Model(images, x)
        # A step at rate 0 leaves everything as it is, and the gradient in the momentum: so no framework is needed.
        self.optimizer = learning.SGD(0.0, momentum=0.9)
        self.model.compile(self.optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def gradient(self, images: np.ndarray, labels: np.ndarray, path: Sequence[int]) -> np.ndarray:
        """The gradient at a batch's images that comes back through the branches of the blocks in `path` and around the others."""
        for place, step in enumerate(self.steps):
            step.by_branch.assign(float(place in path))
        if self.optimizer.built:
            for momentum in self.optimizer.momenta:
                momentum.assign(np.zeros(momentum.shape, "float32"))
        self.model.train_on_batch(images, labels)
        return ops.convert_to_numpy(self.optimizer.momenta[0].value).copy()


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 20, epochs: int = 20, quick: bool = False, depths: Sequence[int] = (56,)
) -> dict[int, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives by length the share of paths, a path's gradient, and the share of it all.

    `seeds` is how many paths of each length are drawn.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at depths other than 6n + 2 or more than one.
    """
    _, wanted, network, rows = compared.one_preactivation(folder, data, epochs, quick, depths)
    train = dataset(wanted, data).train
    tracer, rng = Tracer(network), np.random.default_rng(0)
    count = len(tracer.steps)
    chosen = [np.sort(rng.permutation(len(train.labels))[:BATCH]) for _ in range(seeds)]
    # The same batches for all lengths: those with a hard picture have gradients many times as large.
    batches = [(compared.prepared(wanted, train.images[places]), train.labels[places]) for places in chosen]
    mean: dict[int, float] = {}
    for length in range(count + 1):
        norms = [np.linalg.norm(tracer.gradient(*batch, rng.permutation(count)[:length].tolist())) for batch in batches]
        mean[length] = float(np.mean(norms))
    shares = {length: math.comb(count, length) / 2**count for length in mean}
    total = sum(shares[length] * norm for length, norm in mean.items()) or 1.0
    found = {length: {"paths": shares[length], "gradient": norm, "share": shares[length] * norm / total} for length, norm in mean.items()}
    _draw(folder / "paths.png", found)
    notes = [
        f"Measured: {count} blocks, {data}, {epochs} epochs (training loss {rows[-1]['loss']:.2g}), {seeds} paths a length. {said(found)}",
        "Published (arXiv:1605.06431, section 5, 54 blocks, CIFAR-10): 5 to 17 blocks, 0.45 % of all paths.",
    ]
    names = ["blocks", "share of paths", "gradient of a path", "share of the gradient"]
    print(table.write(folder / "paths.md", "Paths", names, [[length, *one.values()] for length, one in found.items()], notes))
    return found


def said(found: dict[int, dict[str, float]]) -> str:
    """Through which paths most of the gradient comes, if any does."""
    if not 0 < sum(one["share"] for one in found.values()) < np.inf:
        return "No gradient that could be shared out comes back."
    least, most = effective(found)
    inside = sum(found[length]["paths"] for length in range(least, most + 1))
    gradient = sum(length * one["share"] for length, one in found.items())
    return (
        f"95 % of the gradient comes through paths of {least} to {most} blocks, {100 * inside:.3g} % of all paths. The mean path has "
        f"{max(found) / 2:g} blocks; the mean weighed by the gradient is {gradient:.3g}."
    )


def effective(found: dict[int, dict[str, float]], share: float = 0.95) -> tuple[int, int]:
    """The least and the largest length between which this share of the gradient comes, as much left out on either side."""
    sums = np.cumsum([one["share"] for one in found.values()])
    outside = (1 - share) / 2
    return int(np.searchsorted(sums, outside)), min(int(np.searchsorted(sums, 1 - outside)), len(sums) - 1)


def _draw(path: pathlib.Path, found: dict[int, dict[str, float]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.3), layout="constrained", facecolor="white")
    titles = {"paths": "how many paths there are (share)", "gradient": "gradient of one path (norm)", "share": "share of the gradient"}
    for axes, (name, title), colour in zip(figure.subplots(1, 3), titles.items(), ("#8a8f98", "#e08214", "#2166ac")):
        values = [one[name] for one in found.values()]
        if name == "gradient":
            axes.plot(list(found), np.maximum(values, 1e-30), marker="o", markersize=4, color=colour)
            axes.set_yscale("log")
        else:
            axes.bar(list(found), values, color=colour)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("blocks on the path")
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110)
