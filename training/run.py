"""One training from a recipe to its report: `model.fit` underneath, and a folder that says all of it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_resnet import learning
from keras_resnet.weights.whole_files import settle, staged, swept, written
from training import callbacks, distributed, report, run_folder, trackers
from training.data.find import dataset
from training.data.fingerprint import fingerprint
from training.data.stream import fed
from training.fields import check_values, checked, from_json, to_json
from training.optimization import optimizer
from training.recipe import Recipe
from training.tasks import Task, classification, diffusion, segmentation

LOG, RESULT, MODEL = "log.csv", "result.json", "model.keras"


@dataclasses.dataclass(frozen=True)
class Where:
    """What a run needs besides its recipe."""

    data: str | None = None  # --data
    stop_at_damaged: bool = False  # whether a picture that cannot be read ends the run
    keep: int = 2  # checkpoints, besides the best
    checkpoint_every: int | None = None  # batches; none: behind each epoch
    track: tuple[str, ...] = ()  # where the curves go besides log.csv; see `trackers`
    jit: bool | None = None  # whether the backend compiles the step; none: as Keras does, which is never on PyTorch


def start(recipe: Recipe, where: Where, folder: pathlib.Path, verbose: Any = "auto") -> dict[str, Any]:
    """Trains by a recipe from its beginning, and gives what `result.json` holds.

    Raises:
        ValueError: at anything wrong with recipe or data, and if the folder exists; nothing is written then.
        FloatingPointError: at a loss that is not finite.
        Stopped: at SIGTERM, behind a checkpoint.
    """
    with distributed.together(checked(recipe)) as replicas:
        distributed.of_all(replicas, lambda: _checked(where, folder, replicas))
        task = distributed.of_all(replicas, lambda: _started(recipe, where, folder, replicas))
        return _fit(recipe, where, folder, task, replicas, verbose)


def _checked(where: Where, folder: pathlib.Path, replicas: learning.Replicas) -> None:
    if folder.exists() and replicas.is_first:
        raise ValueError(f"The run folder {str(folder)!r} exists. Go on with `resume {folder}`, or pass another one by --out.")
    check_values(where, "where.")
    trackers.check(where.track)
    report.check()


def _started(recipe: Recipe, where: Where, folder: pathlib.Path, replicas: learning.Replicas) -> Task:
    task = _prepared(recipe, where, replicas)
    config = {"recipe": json.loads(to_json(recipe)), "where": dataclasses.asdict(where), "backend": keras.backend.backend()}
    config["data"] = fingerprint(task.batches, task.whole)
    if replicas.is_first:
        _begun(folder, config)
    return task


def resume(folder: pathlib.Path, verbose: Any = "auto") -> dict[str, Any]:
    """Goes on with a run from its last checkpoint, as `start`.

    Raises:
        ValueError: if there is no run in the folder, or its checkpoints are of another model.
        OSError: if it cannot be written to.
    """
    recipe, where, _ = config_of(folder)
    probe = staged(folder)  # before hours of training
    probe.touch()
    probe.unlink()
    with distributed.together(recipe) as replicas:
        task = distributed.of_all(replicas, lambda: _same(folder, _prepared(recipe, where, replicas)))
        return _fit(recipe, where, folder, task, replicas, verbose)


def _same(folder: pathlib.Path, task: Task) -> Task:
    """The task, if its data are those that the run began with."""
    before, now = run_folder.config(folder).get("data"), fingerprint(task.batches, task.whole)
    if isinstance(before, dict) and before != now:
        raise ValueError(
            f"The data are not those that {str(folder)!r} began with: {before.get('pictures')} pictures to learn from in "
            f"{before.get('batches')} batches then, {now['pictures']} in {now['batches']} now, or others. Put those back, or begin anew."
        )
    return task


def config_of(folder: pathlib.Path) -> tuple[Recipe, Where, str]:
    """Recipe, places and backend of a run.

    Raises:
        ValueError: if there is no run in the folder.
    """
    config = run_folder.config(folder)
    try:
        where = Where(**config["where"])
        where = dataclasses.replace(where, track=tuple(where.track))
        check_values(where, "where.")
        return from_json(json.dumps(config["recipe"])), where, config["backend"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{str(folder / run_folder.CONFIG)!r} is not as it was written ({error}).") from error


def _begun(folder: pathlib.Path, config: dict[str, Any]) -> None:
    """Makes the folder of a run: with its config, or not at all."""
    place = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = staged(folder.parent)
        place.mkdir()
        written(place / run_folder.CONFIG, _text(config))
        os.rename(place, folder)
        settle(folder.parent)
    except OSError as error:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        raise ValueError(f"The run folder {str(folder)!r} cannot be made ({error.strerror}). Pass another one by --out.") from error


def _text(values: dict[str, Any]) -> Callable[[str], object]:
    return lambda place: pathlib.Path(place).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


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
            jit = "auto" if where.jit is None else where.jit
            task.model.compile(optimizer(recipe, recipe.steps or task.whole, task.model), jit_compile=jit, **task.compiling)
        replicas.check_model(task.model)
    finally:
        keras.config.set_dtype_policy(before)
    return task


def _fit(recipe: Recipe, where: Where, folder: pathlib.Path, task: Task, replicas: learning.Replicas, verbose: Any) -> dict[str, Any]:
    with contextlib.ExitStack() as held:
        distributed.of_all(replicas, lambda: held.enter_context(run_folder.alone(folder)) if replicas.is_first else None)
        replicas.adopt(task.model)
        own = held.enter_context(distributed.place(replicas, folder))
        return _trained(recipe, where, folder, own, task, replicas, verbose if replicas.is_first else 0)


def _trained(
    recipe: Recipe, where: Where, folder: pathlib.Path, own: pathlib.Path, task: Task, replicas: learning.Replicas, verbose: Any
) -> dict[str, Any]:
    steps, began = recipe.steps or task.whole, time.perf_counter()
    averages = learning.AveragedWeights(recipe.optimizer.average) if recipe.optimizer.average else None
    parts: dict[str, Any] = {} if averages is None else {"averages": averages}
    if hasattr(task.batches.images, "set_state"):  # so that what could not be read is known at the end of a run that was resumed
        parts["pictures"] = task.batches.images
    every, first = where.checkpoint_every or "epoch", replicas.is_first
    checkpoint = learning.Checkpoint(folder / "checkpoints", every, where.keep, task.monitor, parts=parts, write=first)
    swept(own)
    epoch, batch = checkpoint.restore(task.model), checkpoint.last.batch if checkpoint.last else 0
    epoch, batch = epoch + batch // steps, batch % steps
    while epoch < recipe.epochs:
        # The rest of an epoch that was left is a fit of its own, and its row in the log one of that rest.
        until = epoch + 1 if batch else recipe.epochs
        watch = learning.Throughput(recipe.batch * (steps - batch))
        stop, checkpoint.before = callbacks.StopOnSignal(checkpoint, batch, **distributed.asked_of(replicas)), batch
        guard = learning.TerminateOnNonFinite(checkpoint, getattr(task.batches, "sampler", None), batch, steps)
        # The row of an epoch stands in the log before its checkpoint does: a kill between them repeats the row, and loses none.
        log = callbacks.Log(own / LOG, epoch)
        called = [callbacks.SameRandomNumbers(), watch, guard, *([averages] if averages else []), log, checkpoint, stop]
        track = trackers.Track(own, where.track, recipe.name, dataclasses.asdict(recipe))
        called += [track] if where.track and replicas.is_first else []
        # TensorFlow fetches ahead in a thread of its own, whose waiting says nothing.
        waited = None if keras.backend.backend() == "tensorflow" else watch
        with fed(task.batches, task.whole, epoch * steps + batch) as fetched:
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
                track.close()
        epoch, batch = until, 0
    if not replicas.needed_to_finish:
        return {}
    found = _finished(recipe, own, task, averages, time.perf_counter() - began, replicas.count)
    return found if replicas.is_first else {}


def _finished(recipe: Recipe, folder: pathlib.Path, task: Task, averages: Any, seconds: float, count: int) -> dict[str, Any]:
    log = callbacks.rows(folder / LOG)
    with averages.applied(task.model) if averages is not None else contextlib.nullcontext():
        found = task.finish(folder)
        written(folder / MODEL, task.saved().save)
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
    kept = {name: value for name, value in found.items() if name != "confusion" or len(value) <= 100}  # of 1,000 classes 10 MB
    written(folder / RESULT, _text(kept))
    written(folder / "report.png", lambda place: report.draw(pathlib.Path(place), recipe, log, found))
    return found
