"""`python -m training RECIPE`: trains by a recipe.

python -m training list
python -m training fashion_resnet20 --data FOLDER --set epochs=20
python -m training imagenet_resnet50_a2 --data /data/imagenet --mixed-precision bfloat16
python -m training resume runs/2026-11-21-fashion_resnet20
"""

import argparse
import dataclasses
import datetime
import os
import pathlib
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from training import fields, interrupted, recipes, run_folder
from training.recipe import Recipe
from training.told import exit_code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and not the whole usage before it."""
        self.exit(2, f"error: {message}. `python -m training --help` says what there is.\n")


def parser() -> argparse.ArgumentParser:
    """The program's arguments."""
    made = _Parser(prog="python -m training", description="Trains by a recipe, and writes a folder that says all of it.")
    made.add_argument("recipe", help="a name; 'list' for all of them; or 'resume', with a run folder behind it")
    made.add_argument("folder", nargs="?", type=pathlib.Path, help="of the run to resume")
    made.add_argument(
        "--data", help="a folder, an .npz file, tfds, tfds:NAME, tfds_folder:PATH, digits or fashion; without it, where it usually is"
    )
    made.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a field of the recipe, such as epochs=10")
    made.add_argument("--quick", action="store_true", help="seconds: a small network, pictures that are made up unless --data says which")
    made.add_argument("--backend", choices=run_folder.BACKENDS, help="else KERAS_BACKEND, or Keras's own choice")
    made.add_argument("--mixed-precision", choices=("bfloat16", "float16"), help="weights stay in float32")
    made.add_argument("--out", type=pathlib.Path, help="run folder; else runs/DATE-RECIPE")
    made.add_argument("--stop-at-damaged", action="store_true", help="end at a picture that cannot be read, and do not pass it over")
    made.add_argument("--checkpoint-every", type=int, metavar="BATCHES", help="write a checkpoint within epochs, too")
    made.add_argument(
        "--track", action="append", default=[], choices=run_folder.TRACKERS, help="write the curves there, too; may be repeated"
    )
    made.add_argument(
        "--jit", choices=("yes", "no"), help="whether the backend compiles the step; without it as Keras does, which is never on PyTorch"
    )
    made.add_argument("--show", action="store_true", help="print the recipe as JSON, and train nothing")
    return made


def wanted(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the arguments mean.

    Raises:
        ValueError: at a name, a field or a value that there is not.
    """
    recipe = recipes.recipe(arguments.recipe)
    if arguments.data is not None and not arguments.data.strip():
        raise ValueError("--data is empty. Pass a folder, a file or a name, or leave it out for where the data usually are.")
    if arguments.quick:
        recipe = recipes.quick(recipe)
    if arguments.data is not None:
        from training.data.find import told

        recipe = told(recipe, arguments.data)
    if arguments.mixed_precision:
        recipe = dataclasses.replace(recipe, precision=arguments.mixed_precision)
    return fields.changed(recipe, arguments.set)


def main(words: Sequence[str] | None = None) -> int:
    """Runs the program; 0 if all went well, 1 at a mistake of the user's, 143 if it was asked to stop.

    A command line that cannot be read ends with 2, Ctrl-C before or behind the training with 130.
    """
    arguments = parser().parse_args(words)
    if arguments.recipe == "list":
        if arguments != parser().parse_args(["list"]):
            print("error: `list` takes nothing else. `python -m training NAME --show` shows a recipe.", file=sys.stderr)
            return 1
        for name, recipe in recipes.RECIPES.items():
            depths = "-".join(map(str, recipe.network.settings.get("depths", ())))
            network = f"{recipe.network.name} {depths}"
            print(f"{name:<36} {network:<20} {recipe.epochs:>5} epochs of {recipe.batch:<5} {recipe.published}")
        return 0
    if arguments.backend:
        os.environ["KERAS_BACKEND"] = arguments.backend
    try:
        with interrupted.remembered():
            return _run(arguments)
    except BaseException as error:
        code = exit_code(error, "Stopped, not within the training: what checkpoints there are is as it was.")
        if getattr(error, "of_several", False):
            if code is None:
                traceback.print_exc()
            _leave(code or 1)
        if code is None:
            raise
        return code


def _run(arguments: argparse.Namespace) -> int:
    resuming = arguments.recipe == "resume"
    if resuming and arguments.folder is None:
        raise ValueError("Which run? `python -m training resume runs/DATE-RECIPE`.")
    if not resuming and arguments.folder is not None:
        raise ValueError(f"Only resume takes a folder. Received: {str(arguments.folder)!r}. Data comes by --data, the run folder by --out.")
    begun = ("set", "quick", "out", "mixed_precision", "stop_at_damaged", "checkpoint_every", "track", "jit", "show")
    plain = parser().parse_args(["resume"])
    if resuming and any(getattr(arguments, name) != getattr(plain, name) for name in begun):
        raise ValueError("A run is resumed as it was begun: of the options resume takes --backend and --data alone.")
    config = run_folder.config(arguments.folder) if resuming else {}
    if resuming and not arguments.backend:
        os.environ["KERAS_BACKEND"] = config["backend"]
    recipe = None if resuming else wanted(arguments)
    if recipe is not None and arguments.show:
        print(fields.to_json(recipe))
        return 0
    from training import report, run  # and Keras with its backend

    try:
        if recipe is None:
            folder = arguments.folder
            found = run.resume(folder, config=config, data=arguments.data)
        else:
            folder = arguments.out or pathlib.Path("runs", f"{datetime.date.today()}-{recipe.name}")
            data = arguments.data or ("made_up" if arguments.quick else None)
            where = run.Where(data, arguments.stop_at_damaged, checkpoint_every=arguments.checkpoint_every)
            jit = {None: None, "yes": True, "no": False}[arguments.jit]
            asked = [setting.partition("=")[0].strip() for setting in arguments.set]
            found = run.start(recipe, dataclasses.replace(where, track=tuple(arguments.track), jit=jit), folder, asked=asked)
    except interrupted.Stopped as stopped:
        stopped.add_note(f"Go on with: python -m training {run_folder.resuming(folder)}")
        raise
    if not found:  # of several processes the first one says it
        return 0
    for path, reason in found.get("unread", {}).items():
        print(f"passed over: {path if path.isprintable() else ascii(path)}: {reason}")
    if found.get("unread"):
        print(f"Pictures that could not be read: {len(found['unread'])}.")
    if found.get("unopened"):
        print(f"Pictures that no batch has asked for: {found['unopened']}. Whether they can be read is not known.")
    if "accuracy" in found or "iou" in found:
        print(f"{report.measured(found)} of the test pictures. Published: {found['published'] or 'nothing for this one'}.")
    print(f"{folder}/report.png, result.json, model.keras")
    return 0


def _leave(code: int) -> NoReturn:
    """Ends the process at once: JAX would wait for the others and abort, TensorFlow for the rest of a test that was left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
