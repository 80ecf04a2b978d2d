"""Fine-tunes a network on a folder of pictures, one folder a class, and reports how well it does.

    python -m applications.finetune PICTURES --model resnet50.a1_in1k --out flowers     # weights are downloaded; or --weights FILE
    python -m applications.finetune tfds:oxford_flowers102 --model resnet50             # needs tensorflow-datasets and TensorFlow
    keras-resnet predict photo.jpg --model flowers/finetuned.keras                      # what is in a picture

It writes finetuned.keras, a network from uint8 pictures of any size to probabilities, with the preprocessing inside, which any backend
opens; classes.txt, the names of its outputs; report.json; and report.png: learning curve, confusion matrix, worst mistakes as pictures.

A part of each class is held back, from which nothing is learnt or chosen: the network after the last epoch counts. All other pictures are
mirrored, zoomed and shifted at random. Up to `--freeze` weights stay as they are; behind it the learning rate grows from block to block
(`--decay`), along a cosine after a warm-up in the first tenth.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

import keras_resnet
from applications.classification_report import draw, judge
from applications.labelled_pictures import Batches, find, from_tfds, one_line, split
from applications.staged_files import count, staged
from keras_resnet import learning

FILES = ("finetuned.keras", "classes.txt", "report.json", "report.png")
MARGIN = 8 / 7  # pictures are read by this much larger than the network's, so that zooming in finds detail


def open_network(options: argparse.Namespace, classes: int) -> tuple[Any, Any]:
    """The network with a head of `classes`, and the preprocessing of its weights."""
    network, dot, _ = options.model.partition(".")
    hub = options.model.startswith("hf://")
    settings: dict[str, Any] = dict(classes=classes, data_format="channels_last")
    if options.size:
        settings["input_shape"] = (options.size, options.size, 3)
    try:
        if options.weights and dot and not hub:  # a file in place of those that are named, which takes the same pictures
            model = keras_resnet.create_model(network, weights=options.weights, **settings)
            known = keras_resnet.preprocessing(options.model, data_format="channels_last")
        else:
            usual = None if hub or dot else "imagenet"
            model = keras_resnet.create_model(options.model, weights=options.weights or usual, **settings)
            known = keras_resnet.preprocessing(model)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {one_line(error)}") from error
    return model, type(known).from_config({**known.get_config(), "size": tuple(model.input_shape[1:3]), "data_format": "channels_last"})


def fit(model: Any, train: Batches, held: Batches, options: argparse.Namespace) -> dict[str, list[float]]:
    """Trains, and returns Keras's `History.history`."""
    try:
        learning.freeze(model, None if options.freeze == "none" else options.freeze, statistics=not options.adapt_statistics)
    except ValueError as error:
        raise SystemExit(f"error: --freeze: {one_line(error)} Or 'none'.") from error
    steps = len(train) * options.epochs
    warmup = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - warmup), warmup_target=options.rate, warmup_steps=warmup)
    make = {
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=options.weight_decay, global_clipnorm=1.0),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=options.weight_decay, global_clipnorm=1.0),
    }[options.optimizer]
    optimizer = learning.layerwise(model, make(), decay=options.decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(train, epochs=options.epochs, validation_data=held, shuffle=False, verbose=2).history


def deployed(model: Any, prepare: Any) -> keras.Model:
    """uint8 pictures of any one size to probabilities."""
    pictures = keras.Input((None, None, 3), dtype="uint8", name="pictures")
    return keras.Model(pictures, model(prepare(pictures)), name=f"{model.name}_finetuned")


def run(options: argparse.Namespace) -> float:
    """Fine-tunes, writes `FILES` to the folder `--out`, and returns the accuracy on the pictures held back."""
    out = options.out
    with staged(out, FILES) as stage:
        pictures = pathlib.Path(options.pictures)
        if options.pictures.startswith("tfds:"):
            (stage / "tfds").mkdir()
            pictures = from_tfds(options.pictures.removeprefix("tfds:"), stage / "tfds")
        found, unread = find(pictures)
        for line in unread:
            print(f"left out: {line}", file=sys.stderr)
        learnt, held = split(found, options.held_back, options.seed)
        print(
            f"{len(found.classes)} classes; {len(learnt.paths)} pictures to learn from, {len(held.paths)} held back, {len(unread)} left out"
        )
        keras.utils.set_random_seed(options.seed)
        model, prepare = open_network(options, len(found.classes))
        larger = type(prepare).from_config(
            {**prepare.get_config(), "size": tuple(round(side * MARGIN) for side in prepare.size), "crop": 1.0}
        )
        train = Batches(learnt, larger, options.batch, prepare.size, options.seed)
        validation = Batches(held, prepare, options.batch, prepare.size)
        history = fit(model, train, validation, options)
        probabilities = np.asarray(model.predict(validation, verbose=0))
        report = {
            "model": options.model,
            "classes": found.classes,
            "pictures": {"learnt": len(learnt.paths), "held_back": len(held.paths), "left_out": unread},
            "settings": {key: str(value) for key, value in sorted(vars(options).items())},
            "backend": keras.backend.backend(),
            "history": {key: [float(value) for value in values] for key, values in history.items()},
            **judge(probabilities, held),
        }
        deployed(model, prepare).save(stage / "finetuned.keras")
        (stage / "classes.txt").write_text("\n".join(found.classes) + "\n", encoding="utf-8")
        (stage / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        draw(stage / "report.png", report)
    print(f"accuracy on the pictures held back: {100 * report['accuracy']:.2f} %")
    for name in FILES:
        print(f"wrote {(out / name).resolve()}")
    print(f"what is in a picture: keras-resnet predict PICTURE --model {out / FILES[0]}")
    return report["accuracy"]


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2**32 - 1. Received: {text!r}")
    return int(text)


def _number(least: float, most: float) -> Any:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}. Received: {text!r}")
        return value

    return parse


def main(arguments: Sequence[str] | None = None) -> float:
    """Runs the program with command-line `arguments`, and returns the accuracy on the pictures held back."""
    parser = argparse.ArgumentParser(prog="python -m applications.finetune", description="Fine-tunes a network on a folder of pictures.")
    parser.add_argument("pictures", metavar="PICTURES", help="a folder with a folder of pictures for each class, or tfds:NAME")
    parser.add_argument("--model", required=True, help="network, such as resnet50, resnet50.a1_in1k or hf://timm/resnet50.a1_in1k")
    parser.add_argument("--weights", help="file of weights in place of the published ones")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("finetuned"), help="folder for the files (default: finetuned)")
    parser.add_argument("--epochs", type=count, default=10, help="passes over the pictures (default 10)")
    parser.add_argument("--batch", type=count, default=32, help="pictures a step (default 32)")
    parser.add_argument("--size", type=count, help="height and width in pixels (default: the network's)")
    parser.add_argument("--freeze", default="stem", help="keep weights up to this part: stem, stage1, ..., or none (default stem)")
    parser.add_argument("--adapt-statistics", action="store_true", help="let statistics of the frozen part move to the new pictures")
    parser.add_argument("--decay", type=_number(0.01, 1), default=0.8, help="learning rate of a block over the one behind it (default 0.8)")
    parser.add_argument("--optimizer", choices=("adamw", "sgd"), default="adamw", help="default adamw")
    parser.add_argument("--rate", type=_number(0, 10), default=1e-3, help="largest learning rate, that of the head (default 0.001)")
    parser.add_argument("--weight-decay", type=_number(0, 10), default=0.05, help="default 0.05; none for biases and norms")
    parser.add_argument("--held-back", type=_number(0.01, 0.9), default=0.2, help="share of each class that is held back (default 0.2)")
    parser.add_argument("--seed", type=_seed, default=0, help="of the split, the head and the changes (default 0)")
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except KeyboardInterrupt:
        raise SystemExit("error: interrupted. Nothing was written; files of an earlier run are as they were.") from None


if __name__ == "__main__":
    main(sys.argv[1:])
