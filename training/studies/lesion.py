"""Lesions: blocks removed from a trained residual network, or put in each other's place, without training again.

    python -m training.studies lesion --data digits

Trains a pre-activation network of 56 layers (`--depths 110` has the paper's 54 blocks), then takes away each block in turn, several at
random, and swaps neighbours of one stage, and measures the test error each time. A residual network is like many short ones side by side:
most lesions cost little, those of the blocks that change size more. Writes lesion.png and lesion.md.

Measured on digits (20 epochs, PyTorch): 1.6 % of errors whole, 44 % without the first block, 4.2 % without the second, 0.9 to 1.8 % without
any other one or with neighbours swapped: as published but for the blocks that halve the map, which stand out no more than others (1.6 and
1.3 %). Without 5 blocks at random 1.8 %, without 9 8 %, without 13 43 %, without 21 86 %.

Source: Veit et al. 2016, arXiv:1605.06431, section 4 and figures 3 to 5: on CIFAR-10, of 54 modules, taking one away hardly raises the
error but where the map is halved, and it rises smoothly with their number.
"""

import contextlib
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from keras_resnet.models.features import STAGE
from training.data.find import dataset
from training.studies import compared, table


def blocks(network: keras.Model) -> list[keras.layers.Layer]:
    """The residual blocks in order."""
    return [layer for layer in network.layers if STAGE.fullmatch(layer.name)]


@contextlib.contextmanager
def removed(chosen: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """Within it these pre-activation blocks pass on what their shortcut gives: the kernels that close their branches are zero."""
    kernels = [next(one for one in layer.weights if one.path.endswith("conv2/kernel")) for layer in chosen]
    before = [keras.ops.convert_to_numpy(kernel.value) for kernel in kernels]
    try:
        for kernel in kernels:
            kernel.assign(np.zeros(kernel.shape, "float32"))
        yield
    finally:
        for kernel, value in zip(kernels, before, strict=True):
            kernel.assign(value)


@contextlib.contextmanager
def swapped(one: keras.layers.Layer, other: keras.layers.Layer) -> Iterator[None]:
    """Within it two blocks of a stage have each other's weights."""
    before = one.get_weights(), other.get_weights()
    try:
        one.set_weights(before[1])
        other.set_weights(before[0])
        yield
    finally:
        one.set_weights(before[0])
        other.set_weights(before[1])


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 3, epochs: int = 20, quick: bool = False, depths: Sequence[int] = (56,)
) -> dict[str, float]:
    """Trains, writes picture and table into the folder, and gives test errors in percent by lesion; `seeds` is how many random choices.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at depths other than 6n + 2 or more than one.
    """
    name, wanted, model, _ = compared.one_preactivation(folder, data, epochs, quick, depths)
    test = dataset(wanted, data).test
    images = compared.prepared(wanted, test.images)
    chain = blocks(model)
    found = {"whole": _error(model, images, test.labels)}
    for layer in chain:
        with removed([layer]):
            found[f"without {layer.name}"] = _error(model, images, test.labels)
    inner = [layer for layer in chain if not layer.name.endswith("block1")]  # those that keep the size
    pairs = [(one, other) for one, other in itertools.pairwise(inner) if one.name.split("_")[0] == other.name.split("_")[0]]
    for one, other in pairs:
        with swapped(one, other):
            found[f"{one.name} and {other.name} swapped"] = _error(model, images, test.labels)
    rng = np.random.default_rng(0)
    for count in range(1, len(inner) + 1, max(1, len(inner) // 6)):
        errors = []
        for _ in range(seeds):
            with removed([inner[i] for i in rng.permutation(len(inner))[:count]]):
                errors.append(_error(model, images, test.labels))
        found[f"without {count} at random"] = float(np.mean(errors))
    _draw(folder / "lesion.png", found)
    notes = [
        f"Measured: {name} on {data}, {epochs} epochs, {len(test.labels)} test pictures; random removals are means of {seeds}.",
        "Published (arXiv:1605.06431, figures 3 to 5, CIFAR-10): little for one block, a peak where the map is halved, smooth for more.",
    ]
    print(table.write(folder / "lesion.md", "Lesions", ["lesion", "test error (%)"], list(found.items()), notes))
    return found


def _error(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    scores = model.predict(images, batch_size=256, verbose=0)
    return float(100 * (scores.argmax(-1) != labels).mean())


def _draw(path: pathlib.Path, found: dict[str, float]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.5), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    single = {name[8:]: error for name, error in found.items() if name.startswith("without stage")}
    colours = ["#b2182b" if name.endswith("block1") else "#4393c3" for name in single]
    left.bar(range(len(single)), list(single.values()), color=colours)
    left.set_xticks(range(len(single)), list(single), rotation=90, fontsize=7)
    left.axhline(found["whole"], color="black", linewidth=1, linestyle="--", label=f"whole network: {found['whole']:.2f} %")
    left.set_title("one block removed (red: the first of a stage)", fontsize=11)
    left.set_ylabel("test error (%)")
    left.legend(frameon=False)
    several = {int(name.split()[1]): error for name, error in found.items() if name.endswith("at random")}
    right.plot(list(several), list(several.values()), marker="o", color="#2166ac")
    right.set_title("several removed at random", fontsize=11)
    right.set_xlabel("blocks removed")
    right.grid(alpha=0.25)
    figure.savefig(path, dpi=110)
