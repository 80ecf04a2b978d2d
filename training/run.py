"""One training from a recipe to its report: `model.fit` underneath, and a folder that says all of it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet import learning
from keras_resnet.weights.whole_files import settle, staged, swept, written
from training import callbacks, distributed, interrupted, machine, report, run_folder, trackers
from training.data import masks
from training.data.find import check_read, placed, source
from training.data.fingerprint import fingerprint
from training.data.readable import only_readable
from training.epochs import LOG, Clock, trained
from training.fields import check_values, checked, from_json, to_json
from training.optimization import check_network, optimizer
from training.recipe import Recipe
from training.run_folder import Where
from training.tasks import Task, classification, diffusion, segmentation

RESULT, MODEL = "result.json", "model.keras"


def start(recipe: Recipe, where: Where, folder: pathlib.Path, verbose: Any = "auto", asked: Sequence[str] = ()) -> dict[str, Any]:
    """Trains by a recipe from its beginning, and gives what `result.json` holds.

    Args:
        recipe, where, folder: of the run.
        verbose: of `fit`.
        asked: fields of the recipe that the user has set, and that somebody has to look at.

    Raises:
        ValueError: at anything wrong with recipe or data, and if the folder exists; nothing is written then.
        FloatingPointError: at a loss that is not finite.
        Lost: at the end of another process of several.
        Stopped: at SIGTERM, behind a checkpoint.
    """
    with distributed.together(checked(recipe), folder) as replicas:
        replicas.of_all(lambda: _checked(where, folder, replicas))
        task = _prepared(recipe, where, replicas, asked)
        replicas.of_all(lambda: _started(recipe, where, folder, task) if replicas.is_first else None)
        return _fit(recipe, where, folder, task, replicas, verbose)


def _checked(where: Where, folder: pathlib.Path, replicas: learning.Replicas) -> None:
    if folder.exists() and replicas.is_first:
        raise ValueError(
            f"The run folder {str(folder)!r} exists. Go on with `{run_folder.resuming(folder)}`, or pass another one by --out."
        )
    check_values(where, "where.")
    trackers.check(where.track)
    report.check()


def _started(recipe: Recipe, where: Where, folder: pathlib.Path, task: Task) -> None:
    place = dataclasses.replace(where, data=placed(where.data))
    config = {"recipe": json.loads(to_json(recipe)), "where": dataclasses.asdict(place), "backend": keras.backend.backend()}
    _begun(folder, {**config, "data": fingerprint(task.batches, task.whole, task.validation)})


def resume(folder: pathlib.Path, verbose: Any = "auto", config: dict[str, Any] | None = None, data: str | None = None) -> dict[str, Any]:
    """Goes on with a run from its last checkpoint, as `start`.

    Args:
        folder, verbose: of the run.
        config: its config.json, where that was read already.
        data: where its data are now, if they were moved.

    Raises:
        ValueError: if there is no run in the folder, or its checkpoints are of another model.
        OSError: if it cannot be written to.
    """
    config = config or run_folder.config(folder)
    if data is not None:
        config = {**config, "where": {**config["where"], "data": placed(data)}}
    recipe, where = _meant(config, folder)
    trackers.check(where.track)
    report.check()
    probe = staged(folder)  # before hours of training
    probe.touch()
    probe.unlink()
    with distributed.together(recipe, folder) as replicas:
        task = _prepared(recipe, where, replicas)
        replicas.of_all(lambda: _check_same(config, folder, task))
        if data is not None:
            replicas.of_all(lambda: written(folder / run_folder.CONFIG, _text(config)) if replicas.is_first else None)
        return _fit(recipe, where, folder, task, replicas, verbose)


def _check_same(config: dict[str, Any], folder: pathlib.Path, task: Task) -> None:
    """Raises unless the task's data are those that the run began with."""
    before, now = config.get("data"), fingerprint(task.batches, task.whole, task.validation)
    if isinstance(before, dict) and any(now.get(name) != value for name, value in before.items()):
        then, there = (
            f"{one.get('pictures')} pictures to learn from in {one.get('batches')} batches and {one.get('tested', 0)} to test on"
            for one in (before, now)
        )
        raise ValueError(
            f"The data are not those that {str(folder)!r} began with: {then} then, {there} now, or others. Put those back, or begin anew."
        )


def config_of(folder: pathlib.Path) -> tuple[Recipe, Where, str]:
    """Recipe, places and backend of a run.

    Raises:
        ValueError: if there is no run in the folder.
    """
    config = run_folder.config(folder)
    return (*_meant(config, folder), config["backend"])


def _meant(config: dict[str, Any], folder: pathlib.Path) -> tuple[Recipe, Where]:
    try:
        where = Where(**config["where"])
        if not isinstance(where.track, (list, tuple)):
            raise ValueError(f"`where.track` is a list of names. Received: {where.track!r}")
        where = dataclasses.replace(where, track=tuple(where.track))
        check_values(where, "where.")
        return from_json(json.dumps(config["recipe"])), where
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{str(folder / run_folder.CONFIG)!r} is not as it was written ({error}).") from error


def _begun(folder: pathlib.Path, config: dict[str, Any]) -> None:
    """Makes the folder of a run: with its config, or not at all."""
    interrupted.check()
    place = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        swept(folder.parent)
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


def _prepared(recipe: Recipe, where: Where, replicas: learning.Replicas, asked: Sequence[str] = ()) -> Task:
    """The task of all processes. Each step is one that none goes on from alone."""
    replicas.of_all(lambda: check_network(recipe))
    found: tuple
    if recipe.task == "segmentation":
        pairs = replicas.of_all(lambda: masks.files(recipe.data, where.data))
        found = masks.only_readable(pairs, recipe.data, where.stop_at_damaged, replicas)
    else:
        pictures = replicas.of_all(lambda: check_read(source(recipe, where.data, where.stop_at_damaged), asked))
        found = (only_readable(pictures, replicas),)
    return replicas.of_all(lambda: _built(recipe, where, found, replicas))


def _built(recipe: Recipe, where: Where, found: tuple, replicas: learning.Replicas) -> Task:
    keras.utils.set_random_seed(recipe.seed)
    policy = recipe.precision if recipe.precision == "float32" else f"mixed_{recipe.precision}"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        with replicas.scope():
            task = {"segmentation": segmentation, "diffusion": diffusion, "classification": classification}[recipe.task].task(
                recipe, *found, replicas
            )
            jit = "auto" if where.jit is None else where.jit
            task.model.compile(optimizer(recipe, recipe.steps or task.whole, task.model), jit_compile=jit, **task.compiling)
        replicas.check_model(task.model)
    finally:
        keras.config.set_dtype_policy(before)
    return task


def _fit(recipe: Recipe, where: Where, folder: pathlib.Path, task: Task, replicas: learning.Replicas, verbose: Any) -> dict[str, Any]:
    with contextlib.ExitStack() as held:
        replicas.of_all(lambda: held.enter_context(run_folder.alone(folder)) if replicas.is_first else None)
        replicas.adopt(task.model)
        own = held.enter_context(distributed.place(replicas, folder))
        facts = machine.facts()  # on each, as all finish together
        averages, clock = trained(recipe, where, folder, own, task, replicas, verbose if replicas.is_first else 0)
        if not replicas.needed_to_finish:
            return {}
        found = _finished(recipe, own, task, averages, clock, {"replicas": replicas.count, **facts})
        return found if replicas.is_first else {}


def _finished(recipe: Recipe, folder: pathlib.Path, task: Task, averages: Any, clock: Clock, facts: dict[str, Any]) -> dict[str, Any]:
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
        "seconds": clock.seconds,
        **facts,
    }
    kept = {name: value for name, value in found.items() if name != "confusion" or len(value) <= 100}  # of 1,000 classes 10 MB
    written(folder / RESULT, _text(kept))
    written(folder / "report.png", lambda place: report.draw(pathlib.Path(place), recipe, log, found))
    return found
