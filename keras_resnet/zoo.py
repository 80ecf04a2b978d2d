"""Joins the tables of all families with the loader of weights: networks by name, and their list."""

import dataclasses
import difflib
import fnmatch
import inspect
import re
import sys
from collections.abc import Mapping
from typing import Any

import keras

from keras_resnet.layers.configured import check_choice
from keras_resnet.models.attention_unet import ATTENTION_UNETS
from keras_resnet.models.cifar import CIFAR_RESNETS
from keras_resnet.models.densenet import DENSENETS
from keras_resnet.models.diffusion_unet import DIFFUSION_UNETS
from keras_resnet.models.fc_densenet import FC_DENSENETS
from keras_resnet.models.nested_unet import NESTED_UNETS
from keras_resnet.models.nnunet import NNUNETS
from keras_resnet.models.normfree import NORM_FREE
from keras_resnet.models.plain_unet import PLAIN_UNETS
from keras_resnet.models.preresnet import PRERESNETS
from keras_resnet.models.resnet import RESNETS
from keras_resnet.models.resunet import RESUNETS
from keras_resnet.models.row import Row
from keras_resnet.models.unet3plus import UNETS3PLUS
from keras_resnet.models.vit import VITS
from keras_resnet.weights import catalogue, load, sources

ZOO: dict[str, Row] = {**RESNETS, **PRERESNETS, **NORM_FREE, **CIFAR_RESNETS, **DENSENETS, **VITS}
# Networks of other tasks, which have no classifier on top and no published weights.
SEGMENTERS: dict[str, Row] = {**PLAIN_UNETS, **ATTENTION_UNETS, **NESTED_UNETS, **RESUNETS, **NNUNETS, **UNETS3PLUS, **FC_DENSENETS}
DIFFUSERS: dict[str, Row] = DIFFUSION_UNETS
TASKS = {"classification": ZOO, "segmentation": SEGMENTERS, "diffusion": DIFFUSERS}
NETWORKS: dict[str, Row] = {**ZOO, **SEGMENTERS, **DIFFUSERS}
# What takes an encoder, and so is no network by itself; built in `segmentation`, and repeated in keras_resnet_cli/listing.py.
DECODERS = ("UNet", "UNetPlusPlus", "FPN", "DeepLabV3Plus")


def list_models(pattern: str = "*", task: str | None = None) -> list[str]:
    """Names of the networks, sorted by kind and depth.

    Args:
        pattern: a shell pattern, such as `"resnet*"`.
        task: `"classification"`, `"segmentation"`, `"diffusion"`, or `None` for all.

    Raises:
        ValueError: for a pattern that is no text, or another task.
    """

    if not isinstance(pattern, str):
        raise ValueError(f'`pattern` must be a shell pattern, such as "resnet*". Received: pattern={pattern!r}.')

    check_choice("task", task, (*TASKS, None))

    def order(name: str) -> list:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    return sorted(fnmatch.filter(NETWORKS if task is None else TASKS[task], pattern), key=order)


def create_model(model_name: str, weights: Any = None, **settings: Any) -> keras.Model:
    """Builds a network by name.

    ```python
    model = keras_resnet.create_model("resnet50", classes=10, input_shape=(224, 224, 3))
    ```

    Args:
        model_name: one of `list_models()`; or a network and its weights, `"resnet50.a1_in1k"`, `"hf://timm/resnet50.a1_in1k"`.
        weights: `None` for random ones; `"imagenet"` for the network's usual ones; a tag, such as `"a1_in1k"`, or source and tag,
            `"torchvision/IMAGENET1K_V2"`, `"keras/imagenet"` (docs/checkpoints.md lists all); `"hf://organization/name"` for a
            repository of timm's kind on the hub, `@revision` behind it; or the path of a file, as in `load_weights`. Published weights are
            downloaded once. With other `classes` than theirs the head starts anew; for other channels than 3 the first convolution is
            made from theirs. A line on stderr says so, and names the licence.
        **settings: arguments of the builder: those of `keras.applications`, and of the function in `keras_resnet.models` that
            builds its family, such as `resnet`, `densenet` or `vit`.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: at an unknown name (the error names the closest), an argument outside what the builder lists, or weights that
            do not fit.
        TypeError: at an argument that the builder does not have.
        FileNotFoundError: if there is no file at `weights`.
        OSError: if published weights are not in the cache and cannot be downloaded.
    """
    model_name, weights, row = named(model_name, weights, settings)
    allowed = inspect.signature(row.builder).parameters
    if weights is None or model_name not in ZOO:
        path = None if weights is None else load.check_source(weights)
        model = row.builder(**{"name": model_name, **_laid_out(row.settings, settings), **settings})
        if path is not None:
            load.load_weights(model, path)
        return model
    include_top = settings.get("include_top", True) is not False
    source = sources.resolve(model_name, weights, include_top, row.settings)
    wanted = _wanted(model_name, source, settings, allowed, include_top)
    path = source.fetch()
    model = row.builder(**{"name": model_name, **row.settings, **wanted, **settings})
    if source.checkpoint is None:
        own = "classes" in settings, "input_shape" in settings or settings.get("input_tensor") is not None
    else:
        own = settings.get("classes", source.checkpoint.classes) != source.checkpoint.classes, True
    adapted = load.load_adapted(model, path, *own)
    if source.checkpoint is not None:
        model.checkpoint = dataclasses.asdict(source.checkpoint)
    changed = _changed({**row.settings, **wanted}, settings, allowed) if source.checkpoint is not None else ""
    if source.checkpoint is not None or adapted:
        _say(model_name, path.name, source.checkpoint, "; ".join(filter(None, (adapted, changed))))
    return model


def named(model_name: str, weights: Any, settings: Mapping[str, Any]) -> tuple[str, Any, Row]:
    """The network's name by itself, its weights, and its row; builds nothing, and raises as `create_model` where there is none such."""
    model_name, weights = sources.split(model_name, weights, ZOO)
    if not isinstance(model_name, str) or model_name not in NETWORKS:
        close = difflib.get_close_matches(str(model_name).lower(), NETWORKS, n=3, cutoff=0.5)
        hint = f" Closest: {', '.join(close)}." if close else ""
        decoder = next((name for name in DECODERS if name.lower() == str(model_name).lower().replace("_", "")), None)
        if decoder:
            hint = f' {decoder} takes an encoder: keras_resnet.{decoder}("resnet34").{hint}'
        raise ValueError(f"There is no network named {model_name!r}.{hint} keras_resnet.list_models() lists all {len(NETWORKS)}.")
    row = NETWORKS[model_name]
    allowed = inspect.signature(row.builder).parameters
    for name in settings:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{model_name} has no argument {name!r}.{hint} It takes: weights, {', '.join(allowed)}.")
    return model_name, weights, row


def _laid_out(own: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A row's own settings, whose `input_shape` has its channels last, in the data format that is asked for."""
    laid_out = dict(own)
    if "input_shape" in own and (settings.get("data_format") or keras.config.image_data_format()) == "channels_first":
        laid_out["input_shape"] = (own["input_shape"][-1], *own["input_shape"][:-1])
    return laid_out


def _wanted(model_name: str, source: sources.Source, settings: dict, allowed: Mapping, include_top: bool) -> dict[str, Any]:
    """What a source asks a network to be built with. Raises where the builder cannot."""
    wanted = dict(source.settings)
    size, channels = wanted.pop("size", None), wanted.pop("channels", 3)
    for name in wanted:
        if name not in allowed:
            raise ValueError(f"The weights are of a {model_name} with {name}={wanted[name]!r}, which it has not got here.")
    row = source.checkpoint
    if row is not None and include_top and row.classes == 0 and "classes" not in settings:
        raise ValueError(f"{row.name} has no head. Pass include_top=False for its features, or classes=... for a new head.")
    given = "input_shape" in settings or settings.get("input_tensor") is not None
    if not given and (channels != 3 or (size is not None and include_top)):
        # Without top the size stays open.
        wanted["input_shape"] = _square((size or 224) if include_top else None, channels, settings.get("data_format"))
    return wanted


# Arguments that change nothing in what a network gives for its input, or that say what is to be adapted, in whole sight.
_HARMLESS = {
    *("include_top", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation", "name", "data_format", "dtype"),
    *("dropout", "attention_dropout", "drop_block", "stochastic_depth", "remat", "zero_init_residual"),
    *("norm_momentum", "as_encoder"),
}


def _changed(trained: Mapping[str, Any], settings: Mapping[str, Any], allowed: Mapping) -> str:
    """In words, which settings make a network another function than that of its weights."""
    found = []
    for name, value in settings.items():
        before = trained.get(name, allowed[name].default)
        same = list(value) == list(before) if isinstance(value, (list, tuple)) and isinstance(before, (list, tuple)) else value == before
        if name not in _HARMLESS and not same:
            found.append(f"{name}={value!r}")
    return f"not as they were trained: {', '.join(found)}" if found else ""


def _square(size: int | None, channels: int, data_format: str | None) -> tuple:
    first = (data_format or keras.config.image_data_format()) == "channels_first"
    return (channels, size, size) if first else (size, size, channels)


def _say(model_name: str, file: str, checkpoint: catalogue.Checkpoint | None, adapted: str) -> None:
    """The one line of a network that was loaded: whose weights, under which licence, and what of it is new."""
    name, licence = file, ""
    if checkpoint is not None:
        name = f"{checkpoint.name} ({checkpoint.source})"
        licence = f", licence {checkpoint.licence}{': NOT FOR COMMERCIAL USE' if checkpoint.noncommercial else ''}"
    print(f"{model_name}: weights {name}{licence}{f'; {adapted}' if adapted else ''}", file=sys.stderr)
