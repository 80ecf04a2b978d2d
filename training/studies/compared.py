"""Networks trained alike and compared: the recipe, the trainings, their curves and what the last epochs say."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet import learning
from training import callbacks
from training.data.find import dataset, told
from training.data.prepared import Prepared
from training.data.stream import fed
from training.optimization import network, optimizer
from training.recipe import Augmentation, Network, Optimizer, Recipe, Schedule
from training.tasks import classification

TINY = {"depths": (1, 3, 1), "widths": (4, 4, 4)}
ENDS = ["training loss", "training error (%)", "test error (%)"]
Rows = list[dict[str, float]]


def new(folder: pathlib.Path, data: str | None = None) -> None:
    """Makes the study's folder.

    Raises:
        ValueError: if it exists, and at data that cannot be read; nothing is made then.
    """
    if folder.exists():
        raise ValueError(f"The folder {str(folder)!r} exists. Pass another one by --out.")
    if data is not None:
        dataset(told(Recipe("study"), data), data)
    folder.mkdir(parents=True)


def recipe(
    name: str, data: str, seed: int, epochs: int, quick: bool, rate: float = 0.1, decay: float = 1e-4, settings: dict | None = None
) -> Recipe:
    """The training that is the same for all: He et al. 2015's made shorter, with batches of 32 and no augmentation.

    Args:
        name: of a network of the zoo.
        data: as `--data` has it.
        seed, epochs: of the training.
        quick: two batches an epoch, and a small network unless `settings` say which.
        rate: the highest learning rate; it is a tenth from a half on and a hundredth from three quarters on.
        decay: of the weights.
        settings: arguments of the network's builder.
    """
    made = Recipe(
        f"study_{name}",
        network=Network(name, settings=(TINY if quick else {}) if settings is None else settings),
        optimizer=Optimizer("sgd", rate=rate, momentum=0.9, weight_decay=decay),
        schedule=Schedule("step", warm_up=min(1, epochs / 4), start=0.1, milestones=(epochs / 2, 3 * epochs / 4)),
        augmentation=Augmentation(flip=False),
        epochs=epochs,
        steps=2 if quick else None,
        batch=32,
        seed=seed,
    )
    return told(made, data)


def fit(wanted: Recipe, data: str, log: pathlib.Path, build: Callable = network) -> tuple[keras.Model, Rows]:
    """Trains by a recipe until its end or until the loss is not finite, and gives the model and a row an epoch, which `log` has, too.

    Args:
        wanted: the recipe.
        data: as `--data` has it.
        log: a CSV file.
        build: from the recipe and what the data ask of a network to the network; without it the recipe's of the zoo.

    Raises:
        ValueError: at data that cannot be read.
    """
    found = dataset(wanted, data)
    keras.utils.set_random_seed(wanted.seed)
    task = classification.task(wanted, found, learning.Replicas(None, False), build)
    steps = wanted.steps or task.whole
    task.model.compile(optimizer(wanted, steps, task.model), **task.compiling)
    log.parent.mkdir(parents=True, exist_ok=True)
    called = [_StopWhereNotFinite(), callbacks.Log(log)]
    # That a training diverges is what is measured, so NumPy need not warn.
    with fed(task.batches, task.whole, 0) as fetched, np.errstate(all="ignore"):
        task.model.fit(
            fetched,
            steps_per_epoch=steps,
            epochs=wanted.epochs,
            validation_data=task.validation,
            callbacks=called,
            shuffle=False,
            verbose=0,
        )
    return task.model, callbacks.rows(log)


def basic_depths(depth: int) -> tuple[int, int, int]:
    """Blocks a stage of a network of so many layers, two in each block.

    Raises:
        ValueError: unless there is such a network.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"Networks of basic blocks have 6n + 2 layers, such as 20, 56, 110. Received: --depths {depth}.")
    return ((depth - 2) // 6,) * 3


def one_preactivation(
    folder: pathlib.Path, data: str, epochs: int, quick: bool, depths: Sequence[int]
) -> tuple[str, Recipe, keras.Model, Rows]:
    """Trains the one network that `--depths` asks for, and gives its name, its recipe, itself and a row an epoch.

    Raises:
        ValueError: if it asks for several or there is no such network, if the folder exists, and at data that cannot be read.
    """
    if len(depths) != 1:
        raise ValueError(f"One network is looked into. Received: --depths {' '.join(map(str, depths))}.")
    name, settings = f"preresnet{depths[0]}", {"depths": basic_depths(depths[0])}
    new(folder, data)
    wanted = recipe("preresnet20", data, 0, epochs, quick, settings=TINY if quick else settings)
    return name, wanted, *fit(wanted, data, folder / "runs" / f"{name}-0.csv")


def prepared(wanted: Recipe, images: Any) -> np.ndarray:
    """Pictures as the recipe's network takes them, less their mean and by their deviation."""
    change = Prepared(wanted.data.size, wanted.data.mean, wanted.data.deviation)
    return keras.ops.convert_to_numpy(change(keras.ops.convert_to_tensor(np.asarray(images)), training=False))


class _StopWhereNotFinite(keras.callbacks.Callback):
    """As Keras's own `TerminateOnNaN`, which prints."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True


def trained(
    folder: pathlib.Path,
    networks: Mapping[str, Callable[[int], Recipe]],
    data: str,
    seeds: int,
    builds: Mapping[str, Callable] | None = None,
) -> dict[str, list[Rows]]:
    """The logs of each network, one a seed, by what it is called; `networks` gives its recipe for a seed, `builds` its own builder."""
    logs: dict[str, list[Rows]] = {}
    for called, made in networks.items():
        for seed in range(seeds):
            file = "".join(letter if letter.isalnum() else "_" for letter in called)
            rows = fit(made(seed), data, folder / "runs" / f"{file}-{seed}.csv", (builds or {}).get(called, network))[1]
            logs.setdefault(called, []).append(rows)
            done = rows[-1]
            print(f"{called}, seed {seed}: training loss {done['loss']:.4f}, accuracy {100 * done['accuracy']:.2f} %", flush=True)
    return logs


def last(epochs: int) -> int:
    """How many epochs' mean counts, since single ones are noisy: a quarter, when the rate is lowest, but three at most."""
    return min(3, max(1, epochs // 4))


def end(logs: list[Rows]) -> dict[str, float]:
    """Mean of the last epochs and of all seeds: `loss, error, test_error`, the errors in percent; not finite if one of them diverged."""
    counted = [row for rows in logs for row in rows[-last(len(rows)) :]]
    mean = {name: float(np.mean([row[name] for row in counted])) for name in ("loss", "accuracy", "val_accuracy")}
    finite = np.isfinite(mean["loss"])
    errors = (100 * (1 - mean[name]) if finite else np.nan for name in ("accuracy", "val_accuracy"))
    return dict(zip(("loss", "error", "test_error"), (mean["loss"] if finite else np.nan, *errors), strict=True))


def finite(loss: float) -> float:
    """The loss for comparing: of what diverged it is above all others."""
    return loss if np.isfinite(loss) else np.inf


def row(called: str, found: dict[str, float]) -> list[Any]:
    """A line of a table with the columns `ENDS`."""
    return [called, *(one if np.isfinite(one) else "diverged" for one in (found["loss"], found["error"], found["test_error"]))]


def draw(path: pathlib.Path, title: str, logs: Mapping[str, list[Rows]], styles: Mapping[str, dict], second: str = "accuracy") -> None:
    """Two pictures: training loss by epoch, and the error by `"accuracy"` (training) or `"val_accuracy"` (test).

    Thin lines are single seeds, thick ones their mean; `styles` has what matplotlib's `plot` takes for each.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    label = "training error (%)" if second == "accuracy" else "test error (%)"
    for called, seeds in logs.items():
        for axes, values in (
            (left, [[max(row["loss"], 1e-5) for row in rows] for rows in seeds]),
            (right, [[100 * (1 - row[second]) for row in rows] for rows in seeds]),
        ):
            for one in values:
                axes.plot(range(1, len(one) + 1), one, **{**styles[called], "linewidth": 1, "alpha": 0.25})
            if len({len(one) for one in values}) == 1:
                mean = np.mean(values, axis=0)
                axes.plot(range(1, len(mean) + 1), mean, label=called, **{"linewidth": 2, **styles[called]})
    left.set_yscale("log")
    left.set_ylabel("training loss")
    right.set_ylabel(label)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    left.set_ylim(top=min(left.get_ylim()[1], 30))  # what diverges leaves the picture
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=12)
    figure.savefig(path, dpi=110)
