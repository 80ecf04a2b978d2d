"""The published weights, one row each, from `catalogue.csv` beside this file; of the standard library alone, so no backend starts."""

import csv
import dataclasses
import difflib
import pathlib

_PATH = pathlib.Path(__file__).with_name("catalogue.csv")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What is known of one published set of weights.

    Args:
        model: the network, one of `list_models()`.
        tag: what the weights are called; `name` joins both, as timm does: "resnet50.a1_in1k".
        source: who published the file: "timm", "torchvision", "keras" or "bit" (Big Transfer).
        location: a repository of the Hugging Face hub, or the https address of the file.
        file: the name of the file.
        digest: "sha256:" and 64 hexadecimal digits, or the first 8 where only those are public; "md5:" and 32; "" where none is public.
        revision: the hub's revision; "" is its main branch.
        licence: SPDX's identifier in lower case; "unknown" where its authors state none.
        input_size: height and width in pixels that it was trained with, or is used with by default.
        test_input_size: where a larger size is more accurate and published, that size; else `input_size`.
        crop: the part of the shorter side that the crop at `input_size` takes.
        test_crop: the same at `test_input_size`.
        crop_mode: "center", "squash" or "border".
        interpolation: "bilinear" or "bicubic".
        mean: what is taken from red, green and blue in 0..1.
        std: what they are divided by then.
        mode: "torch": `(x / 255 - mean) / std`; "tf": `x / 127.5 - 1`, the same with 0.5; "caffe": blue, green and red minus
            (103.939, 116.779, 123.68), not scaled.
        classes: outputs of its head; 0 where it has none.
        top1: published accuracy on ImageNet's validation pictures in percent, at `test_input_size`, or None.
        top1_source: who published it.
        headless_file: the second file of `keras.applications`, without the head.
        headless_digest: that file's digest.
    """

    model: str
    tag: str
    source: str
    location: str
    file: str
    digest: str
    revision: str
    licence: str
    input_size: int
    test_input_size: int
    crop: float
    test_crop: float
    crop_mode: str
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mode: str
    classes: int
    top1: float | None
    top1_source: str
    headless_file: str = ""
    headless_digest: str = ""

    @property
    def name(self) -> str:
        """Network and tag, as timm writes them."""
        return f"{self.model}.{self.tag}"

    @property
    def noncommercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return "-nc" in self.licence


def _checkpoint(cells: dict[str, str]) -> Checkpoint:
    """A line of the file. Where no larger size is published, its two cells are empty and mean the size trained with."""
    values: dict = dict(cells)
    values["test_input_size"] = cells["test_input_size"] or cells["input_size"]
    values["test_crop"] = cells["test_crop"] or cells["crop"]
    for field in ("input_size", "test_input_size", "classes"):
        values[field] = int(values[field])
    for field in ("crop", "test_crop"):
        values[field] = float(values[field])
    for field in ("mean", "std"):
        values[field] = tuple(float(number) for number in cells[field].split())
    values["top1"] = float(cells["top1"]) if cells["top1"] else None
    del values["default"]
    return Checkpoint(**values)


def _read() -> tuple[dict[str, Checkpoint], dict[str, str]]:
    checkpoints, defaults = {}, {}
    with _PATH.open(newline="", encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            checkpoint = _checkpoint(cells)
            checkpoints[checkpoint.name] = checkpoint
            if cells["default"]:
                defaults[checkpoint.model] = checkpoint.tag
    return checkpoints, defaults


# All rows by name, and the tag that weights="imagenet" means for each network that has one with the 1,000 classes of ImageNet.
CATALOGUE, DEFAULTS = _read()


def find(model: str, weights: str) -> Checkpoint:
    """The row that `weights` means for the network `model`.

    Args:
        model: the network, one of `list_models()`.
        weights: "imagenet" for the network's default, a tag such as "a1_in1k", or source and tag: "torchvision/IMAGENET1K_V2",
            "keras/imagenet".

    Raises:
        ValueError: if the network has no such weights. The error names those it has, the closest first.
    """
    tags = {checkpoint.tag: checkpoint for checkpoint in CATALOGUE.values() if checkpoint.model == model}
    if not tags:
        raise ValueError(f"`weights` must be None or a file for {model!r}: none are published. Received: weights={weights!r}.")
    source, _, tag = weights.removeprefix(f"{model}.").rpartition("/")
    if weights == "imagenet":
        tag = DEFAULTS.get(model, "")
    elif (source, tag) == ("keras", "imagenet"):
        tag = "keras_in1k"
    if tag in tags and source in ("", tags[tag].source):
        return tags[tag]

    def far(name: str) -> tuple[bool, float]:
        return not name.startswith(tag), -difflib.SequenceMatcher(None, name, tag).ratio()

    reason = " None of them has the 1,000 classes of ImageNet." if weights == "imagenet" else ""
    elsewhere = [name for name, row in CATALOGUE.items() if row.source == source and row.model.startswith(model) and row.model != model]
    if source and elsewhere and source not in {checkpoint.source for checkpoint in tags.values()}:
        reason = f" From {source} there are {', '.join(elsewhere)}."
    raise ValueError(
        f"`weights` must be None, a file, or one of the published ones of {model!r}: {', '.join(sorted(tags, key=far))}.{reason} "
        f"Received: weights={weights!r}."
    )
