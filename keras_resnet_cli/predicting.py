"""`keras-resnet predict`: what is in these pictures."""

import contextlib
import itertools
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rich.markup import escape

from keras_resnet_cli import facts, listing, pictures

BATCH = 8  # pictures at a time, so that memory does not grow with their number


def predict(paths: list[str], model_name: str, weights: str, top: int, plain: bool) -> bool:
    """Prints the `top` most likely classes of each picture. Returns whether all of the pictures could be read."""
    if pathlib.Path(model_name).suffix == ".keras":
        if weights:
            raise ValueError(f"--weights goes with the name of a network; {model_name!r} has its own.")
        if not pathlib.Path(model_name).is_file():
            raise FileNotFoundError(f"There is no model at {model_name!r}.")
    else:
        check_choice(model_name, weights)
    unread: list[str] = []
    batches = read(paths, unread)
    first = next(batches, None)
    if first is not None:  # else there is nothing to start a backend for
        show(scores(itertools.chain([first], batches), model_name, weights, top), plain)
    return not unread


def read(paths: list[str], unread: list[str]) -> Iterator[dict[str, Any]]:
    """The pictures in parts of at most `BATCH`, by path. Says which cannot be read, and adds them to `unread`."""
    part: dict[str, Any] = {}
    for path in dict.fromkeys(paths):
        try:
            part[path] = pictures.open_picture(path)
        except (ValueError, FileNotFoundError) as error:
            print(f"keras-resnet: {error}", file=sys.stderr)
            unread.append(path)
        if len(part) == BATCH:
            yield part
            part = {}
    if part:
        yield part


def check_choice(model_name: str, weights: str) -> None:
    """Raises `ValueError` where network and weights cannot name what is in a picture, before anything is started."""
    network, dot, tag = model_name.partition(".")
    hub = model_name.startswith("hf://")
    if not hub and network not in facts.networks():
        listing.tell(network)  # raises, with the closest names
    if not hub and facts.networks()[network].task != "classification":
        raise ValueError(
            f"{network} is a network for {facts.networks()[network].task}: it does not say what is in a picture. Those that do: "
            "keras-resnet list --task classification."
        )
    if (dot or hub) and weights:
        raise ValueError(f"{model_name!r} names weights already; give either these or --weights.")
    catalogue = facts.catalogue()
    if hub or weights.startswith("hf://"):
        return
    if weights and (pathlib.Path(weights).suffix or pathlib.Path(weights).exists()):
        if not pathlib.Path(weights).expanduser().is_file():
            raise FileNotFoundError(f"There is no weights file at {weights!r}.")
        return
    row = catalogue.find(network, tag or weights or "imagenet")
    if not row.classes:
        raise ValueError(f"{row.name} has no head, so it cannot say what is in a picture.")


def scores(parts: Iterable[dict[str, Any]], model_name: str, weights: str, top: int) -> dict[str, list[tuple[str, str, float]]]:
    """Of each picture the `top` classes: WordNet id, or "" where the classes are not ImageNet's, name and score."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
    with contextlib.redirect_stdout(sys.stderr):  # what the library says while it loads is not part of the answer
        model = open_model(model_name, weights)
        import keras
        import numpy as np

        import keras_resnet

        check_classifier(model, model_name)
        inside = any(isinstance(layer, keras_resnet.Preprocessing) for layer in model.layers)
        prepare = None if inside else keras_resnet.preprocessing(model)
        names = _names_beside(model_name, model.output_shape[1])
        found: dict[str, list[tuple[str, str, float]]] = {}
        for part in parts:
            if prepare is None:  # pictures as they are, of different sizes
                values = np.concatenate([np.asarray(model.predict_on_batch(np.asarray(picture)[None])) for picture in part.values()])
            else:
                values = keras.ops.convert_to_numpy(model.predict_on_batch(prepare(list(part.values()))))
            values = _probabilities(values)
            count = min(top, values.shape[1])
            if values.shape[1] == 1000 and not names:
                best = keras_resnet.decode_predictions(values, top=count)
            else:
                best = [[("", names[i] if names else f"class {i}", float(row[i])) for i in (-row).argsort()[:count]] for row in values]
            found.update(zip(part, best, strict=True))
    return found


def check_classifier(model: Any, model_name: str) -> None:
    """Raises unless the model takes a picture and gives a score to each class."""
    no = f"The model {model_name!r} cannot say what is in a picture: it"
    if len(model.inputs) != 1:
        raise ValueError(f"{no} takes {', '.join(one.name for one in model.inputs)}, and not a picture alone.")
    axes = len(model.outputs[0].shape)
    if axes > 2 and any(layer.name == "head" for layer in model.layers):
        raise ValueError(
            f"{no} gives classes to each pixel. keras_resnet.sliding_window(model, picture) gives them, and "
            "keras_resnet.plot_segmentation shows them."
        )
    if axes != 2 or len(model.outputs) > 1:
        raise ValueError(f"{no} has no head.")


def _probabilities(values: Any) -> Any:
    """Scores as they are where all are from 0 to 1; else they are logits, and their softmax."""
    import numpy as np

    if ((values >= 0) & (values <= 1)).all():
        return values
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _names_beside(model_name: str, count: int) -> list[str]:
    """Names of the classes, from the classes.txt beside a `.keras` file that `applications.finetune` writes; none where there is none."""
    beside = pathlib.Path(model_name).with_name("classes.txt")
    if pathlib.Path(model_name).suffix != ".keras" or not beside.is_file():
        return []
    names = beside.read_text(encoding="utf-8", errors="replace").splitlines()
    if len(names) != count:
        raise ValueError(
            f"{str(beside)!r} names {len(names)} classes, and {model_name!r} has {count}. Remove it, or put the right one there."
        )
    return names


def open_model(model_name: str, weights: str = "") -> Any:
    """A network by its name, or a `.keras` file, with the errors of a person's mistake."""
    import keras_resnet  # before Keras: it says more clearly what is wrong with a backend

    if pathlib.Path(model_name).suffix != ".keras":
        named = "." in model_name or model_name.startswith("hf://")
        return keras_resnet.create_model(model_name, weights=None if named else weights or "imagenet")
    import keras

    try:
        return keras.models.load_model(model_name, compile=False)
    except Exception as error:  # Keras raises all kinds at damaged files
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ValueError(f"{model_name!r} cannot be opened as a Keras model: {reason}") from error


def show(found: dict[str, list[tuple[str, str, float]]], plain: bool) -> None:
    """Prints the classes of each picture, as tables or as JSON."""
    if plain:
        return listing.as_json(
            [
                {"picture": path, "predictions": [{"id": key, "name": name, "score": float(score)} for key, name, score in best]}
                for path, best in found.items()
            ]
        )
    for path, best in found.items():
        lines = listing.table("score", "class", "WordNet id", right=("score",))
        for key, name, score in best:
            lines.add_row(f"{100 * score:.2f} %", escape(name.replace("_", " ")), key)
        listing.console().print(f"[bold]{escape(path)}[/]")
        listing.console().print(lines)
