"""One training from a recipe to its report: `model.fit` underneath, and a folder that says all of it."""

import contextlib
import dataclasses
import json
import pathlib
import platform
import time
from typing import Any

import keras
import numpy as np

from keras_resnet import learning
from training import callbacks, distributed, report
from training.data.find import dataset
from training.data.stream import ahead, endless
from training.fields import checked, from_json, to_json
from training.optimization import optimizer
from training.recipe import Recipe
from training.tasks import Task, classification, diffusion, segmentation

CONFIG, LOG, RESULT, MODEL = "config.json", "log.csv", "result.json", "model.keras"


@dataclasses.dataclass(frozen=True)
class Where:
    """What a run needs besides its recipe."""

    data: str | None = None  # --data
    stop_at_damaged: bool = False  # whether a picture that cannot be read ends the run
    keep: int = 2  # checkpoints, besides the best


def start(recipe: Recipe, where: Where, folder: pathlib.Path, verbose: Any = "auto") -> dict[str, Any]:
    """Trains by a recipe from its beginning, and gives what `result.json` holds.

    Raises:
        ValueError: at anything wrong with recipe or data, and if the folder exists; nothing is written then.
        FloatingPointError: at a loss that is not finite.
        Stopped: at SIGTERM, behind a checkpoint.
    """
    with distributed.together(checked(recipe)) as replicas:
        task = distributed.of_all(replicas, lambda: _begun(recipe, where, folder, replicas))
        return _fit(recipe, where, folder, task, replicas, verbose)


def _begun(recipe: Recipe, where: Where, folder: pathlib.Path, replicas: learning.Replicas) -> Task:
    if folder.exists() and replicas.is_first:
        raise ValueError(f"The run folder {str(folder)!r} exists. Go on with `resume {folder}`, or pass another one by --out.")
    task = _prepared(recipe, where, replicas)
    if not replicas.is_first:
        return task
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ValueError(f"The run folder {str(folder)!r} cannot be made ({error.strerror}). Pass another one by --out.") from error
    config = {"recipe": json.loads(to_json(recipe)), "where": dataclasses.asdict(where), "backend": keras.backend.backend()}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return task


def resume(folder: pathlib.Path, verbose: Any = "auto") -> dict[str, Any]:
    """Goes on with a run from its last checkpoint, as `start`.

    Raises:
        ValueError: if there is no run in the folder, or its checkpoints are of another model.
    """
    recipe, where, _ = config_of(folder)
    with distributed.together(recipe) as replicas:
        task = distributed.of_all(replicas, lambda: _prepared(recipe, where, replicas))
        return _fit(recipe, where, folder, task, replicas, verbose)


def config_of(folder: pathlib.Path) -> tuple[Recipe, Where, str]:
    """Recipe, places and backend of a run.

    Raises:
        ValueError: if there is no run in the folder.
    """
    if not (folder / CONFIG).is_file():
        raise ValueError(f"There is no run in {str(folder)!r}: it has no {CONFIG}.")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return from_json(json.dumps(config["recipe"])), Where(**config["where"]), str(config["backend"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(folder / CONFIG)!r} is not as it was written ({error}).") from error


def _prepared(recipe: Recipe, where: Where, replicas: learning.Replicas) -> Task:
    keras.utils.set_random_seed(recipe.seed)
    policy = recipe.precision if recipe.precision == "float32" else f"mixed_{recipe.precision}"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        with replicas.scope():
            if recipe.task == "segmentation":
                task = segmentation.task(recipe, where.data, replicas)
            elif recipe.task == "diffusion":
                task = diffusion.task(recipe, dataset(recipe, where.data, where.stop_at_damaged), replicas)
            else:
                task = classification.task(recipe, dataset(recipe, where.data, where.stop_at_damaged), replicas)
            task.model.compile(optimizer(recipe, recipe.steps or task.whole, task.model), **task.compiling)
        replicas.adopt(task.model)
    finally:
        keras.config.set_dtype_policy(before)
    return task


def _fit(recipe: Recipe, where: Where, folder: pathlib.Path, task: Task, replicas: learning.Replicas, verbose: Any) -> dict[str, Any]:
    with distributed.written(replicas, folder) as own:
        return _trained(recipe, where, folder, own, task, replicas, verbose if replicas.is_first else 0)


def _trained(
    recipe: Recipe, where: Where, folder: pathlib.Path, own: pathlib.Path, task: Task, replicas: learning.Replicas, verbose: Any
) -> dict[str, Any]:
    steps, began = recipe.steps or task.whole, time.perf_counter()
    averages = learning.AveragedWeights(recipe.optimizer.average) if recipe.optimizer.average else None
    parts = {} if averages is None else {"averages": averages}
    settings: dict[str, Any] = dict(keep=where.keep, monitor=task.monitor, parts=parts, write=replicas.is_first)
    checkpoint = learning.Checkpoint(folder / "checkpoints", **settings)
    epoch, batch = checkpoint.restore(task.model), checkpoint.last.batch if checkpoint.last else 0
    epoch, batch = epoch + batch // steps, batch % steps
    while epoch < recipe.epochs:
        # The rest of an epoch that was left is a fit of its own, and its row in the log one of that rest.
        until = epoch + 1 if batch else recipe.epochs
        watch = learning.Throughput(recipe.batch * (steps - batch))
        stop = callbacks.StopOnSignal(checkpoint, batch, replicas.agree)
        called = [watch, *([averages] if averages else []), checkpoint, callbacks.Log(own / LOG, epoch), stop]
        # Its epochs are the sampler's only where an epoch is once through the data, from the first batch on.
        sampler = getattr(task.batches, "sampler", None) if steps == task.whole and not batch else None
        called.insert(-1, learning.TerminateOnNonFinite(checkpoint, sampler))
        # TensorFlow fetches ahead in a thread of its own, whose waiting says nothing.
        waited = None if keras.backend.backend() == "tensorflow" else watch
        with ahead(endless(task.batches, task.whole, epoch * steps + batch)) as fetched:
            try:
                task.model.fit(
                    distributed.fetched(replicas, fetched, waited),
                    steps_per_epoch=steps - batch,
                    initial_epoch=epoch,
                    epochs=until,
                    validation_data=replicas.testing(task.validation),
                    callbacks=called,
                    shuffle=False,
                    verbose=verbose,
                )
            finally:
                stop.restore_handlers()
        epoch, batch = until, 0
    if not replicas.needed_to_finish:
        return {}
    with replicas.scope():
        found = _finished(recipe, own, task, averages, time.perf_counter() - began, replicas.count)
    return found if replicas.is_first else {}


def _finished(recipe: Recipe, folder: pathlib.Path, task: Task, averages: Any, seconds: float, count: int) -> dict[str, Any]:
    log = callbacks.rows(folder / LOG)
    with averages.applied(task.model) if averages is not None else contextlib.nullcontext():
        found = task.finish(folder)
        task.saved().save(folder / MODEL)
    speeds = [row["images_per_second"] for row in log[1:] or log if "images_per_second" in row]  # the first epoch compiles
    found |= {
        "recipe": recipe.name,
        "published": recipe.published,
        "epochs": recipe.epochs,
        "images_per_second": float(np.median(speeds)) if speeds else None,
        "seconds": seconds,
        "replicas": count,
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "machine": f"{platform.machine()}, {platform.system()}",
    }
    written = {name: value for name, value in found.items() if name != "confusion" or len(value) <= 100}  # of 1,000 classes 10 MB
    (folder / RESULT).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    report.draw(folder / "report.png", recipe, log, found)
    return found
