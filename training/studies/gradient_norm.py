"""Gradient norms by depth: how much of the loss's gradient reaches each block at the start, with and without shortcuts.

    python -m training.studies gradient_norm

For plain and residual networks of 20 and 56 layers and random numbers, with and without batch normalization: the norm of the gradient of
each block's first kernel, over that of the last block's. Writes gradient_norm.png and gradient_norm.md.

Measured (3 seeds, PyTorch): with batch normalization the first block's gradient is 2,800 times the last one's in plain-56, 8 times in
plain-20, 9 in ResNet-56 and 2.5 in ResNet-20. Without it all ratios are from 0.2 to 1, since kernels start at the variance that keeps a
gradient's. So shortcuts keep gradients even, and batch normalization alone does not, though it keeps them from vanishing, which is what the
paper says of it.

Source: He et al. 2015, arXiv:1512.03385, section 4.1 ("healthy norms with BN"); He et al. 2016, arXiv:1603.05027, section 2, for why the
shortcut carries gradients. Neither gives figures.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

import keras_resnet
from keras_resnet import learning
from keras_resnet.models.features import STAGE
from training.studies import compared, table
from training.studies.degradation import SHORTCUTS


def gradients(shortcut: str | None, depth: int, norm: str | None, seed: int, size: int = 16, batch: int = 16) -> dict[str, float]:
    """Norm of the gradient of the first kernel of each block, by the block's name, on normal noise with random labels.

    `shortcut` is that of the zoo's builder, `None` for plain networks.
    """
    keras.utils.set_random_seed(seed)
    settings: dict[str, Any] = dict(depths=compared.basic_depths(depth), shortcut=shortcut, norm=norm)
    model = keras_resnet.create_model("resnet20", input_shape=(size, size, 3), classifier_activation=None, **settings)
    # A step at rate 0 leaves the weights as they are, and the gradient in the momentum: so no framework is needed.
    optimizer = learning.SGD(0.0, momentum=0.9)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(seed)
    model.train_on_batch(rng.normal(size=(batch, size, size, 3)).astype("float32"), rng.integers(0, 10, batch))
    found: dict[str, float] = {}
    for variable, momentum in zip(model.trainable_variables, optimizer.momenta, strict=True):
        block = next((part for part in variable.path.split("/") if STAGE.fullmatch(part)), None)
        if block is not None and block not in found and variable.path.endswith("kernel"):
            found[block] = float(np.linalg.norm(keras.ops.convert_to_numpy(momentum.value)))
    return found


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 3, epochs: int = 1, quick: bool = False, depths: Sequence[int] = (20, 56)
) -> dict[str, list[float]]:
    """Writes picture and table into the folder; gives each network's norms from the first block to the last, over that of the last.

    `data` and `epochs` are other studies': nothing is learnt here.

    Raises:
        ValueError: if the folder exists, and at depths other than 6n + 2.
    """
    for depth in depths:
        compared.basic_depths(depth)
    compared.new(folder)
    found: dict[str, list[float]] = {}
    for kind, shortcut in SHORTCUTS.items():
        for depth in depths[:1] if quick else depths:
            for norm in ("batch", None):
                runs = [list(gradients(shortcut, depth, norm, seed, size=8 if quick else 16).values()) for seed in range(seeds)]
                norms = np.exp(np.mean(np.log(np.maximum(runs, 1e-30)), axis=0))
                found[f"{kind}{depth}" if norm else f"{kind}{depth}, no norm"] = (norms / norms[-1]).tolist()
    _draw(folder / "gradient_norm.png", found, max(depths))
    rows = [[network, len(norms), norms[0], min(norms), max(norms)] for network, norms in found.items()]
    names = ["network", "blocks", "first block / last block", "least", "largest"]
    notes = [f"Measured at random weights on noise, geometric mean of {seeds} seeds. Published: no figures."]
    print(table.write(folder / "gradient_norm.md", "Gradient norms by depth", names, rows, notes))
    return found


def _draw(path: pathlib.Path, found: dict[str, list[float]], deepest: int) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for network, norms in found.items():
        colour = "#b2182b" if network.startswith("plain") else "#2166ac"
        axes.plot(
            np.linspace(0, 1, len(norms)),
            norms,
            color=colour,
            linestyle=":" if "no norm" in network else "-",
            linewidth=2.5 if network.split(",")[0].endswith(str(deepest)) else 1.2,
            label=network,
        )
    axes.set_yscale("log")
    axes.set_xlabel("depth of the block (0: first, 1: last)")
    axes.set_ylabel("norm of its gradient / the last block's")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("Gradients at the start of a training", fontsize=12)
    figure.savefig(path, dpi=110)
