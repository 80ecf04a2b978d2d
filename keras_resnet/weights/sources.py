"""What `weights=` accepts: which file it means, where that comes from, and how a network for it is built."""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from keras_resnet.weights import catalogue, load, read, timm_settings
from keras_resnet.weights.catalogue import Checkpoint

MOST_CONFIG_BYTES = 2**20


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of weights that is not there yet.

    Args:
        fetch: brings it here and gives its path.
        checkpoint: what is known of it; None of a local file.
        settings: what a network for it is built with.
    """

    fetch: Callable[[], pathlib.Path]
    checkpoint: Checkpoint | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def split(model_name: Any, weights: Any, networks: Mapping[str, Any]) -> tuple[Any, Any]:
    """Network and weights, where `model_name` holds both: `"resnet50.a1_in1k"`, `"hf://timm/resnet50.a1_in1k"`."""
    if not isinstance(model_name, str) or model_name in networks:
        return model_name, weights
    network, _, tag = model_name.partition(".")
    hub = model_name.startswith("hf://")
    if not hub and (network not in networks or not tag):
        return model_name, weights
    if weights is not None:
        raise ValueError(
            f"{model_name!r} names its weights already. Pass weights=None, or the network's name alone. Received: {weights!r}."
        )
    if not hub:
        return network, tag
    architecture = _configuration(model_name).get("architecture")
    if architecture not in networks:
        raise ValueError(f"{model_name!r} holds the weights of {architecture!r}, which is none of keras_resnet.list_models().")
    return architecture, model_name


def resolve(model_name: str, weights: Any, include_top: bool = True, row: Mapping[str, Any] | None = None) -> Source:
    """What `weights` means for a network, whose row has the settings `row`.

    Raises `ValueError` where it means nothing, `FileNotFoundError` without the local file.
    """
    if isinstance(weights, str) and weights.startswith("hf://"):
        return _of_hub(model_name, weights, row or {})
    if not isinstance(weights, str) or _is_path(model_name, weights):
        path = load.check_source(weights)
        return Source(lambda: path)
    checkpoint = catalogue.find(model_name, weights)
    file, digest = checkpoint.file, checkpoint.digest
    if not include_top and checkpoint.headless_file:
        file, digest = checkpoint.headless_file, checkpoint.headless_digest
    settings = _settings(checkpoint)
    if checkpoint.source == "keras":
        settings["norm_epsilon"] = 1.001e-5

    def fetch() -> pathlib.Path:
        from keras_resnet.weights import download  # needs nothing until a file is wanted

        if checkpoint.source == "timm":
            return download.download_from_hub(checkpoint.location, file, checkpoint.revision)
        return download.download(checkpoint.location.rpartition("/")[0] + f"/{file}", digest)

    return Source(fetch, checkpoint, settings)


def _settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """The classes and the size of image that a network for these weights is built with, where they are not its own."""
    classes = {"classes": checkpoint.classes} if checkpoint.classes else {}
    return {**classes, **({"size": checkpoint.input_size} if checkpoint.input_size != 224 else {})}


def _is_path(model_name: str, weights: str) -> bool:
    """Whether this text is a path: it has a suffix that is read, or there is such a file and no such tag."""
    if weights.lower().endswith(read.SUFFIXES) or weights == "":
        return True
    if not os.path.isfile(weights):
        return False
    try:
        catalogue.find(model_name, weights)
    except ValueError:
        return True
    return False


def _hub_parts(weights: str) -> tuple[str, str]:
    found = re.fullmatch(r"hf://([^/@]+/[^/@]+?)(?:@([^@]+))?", weights)
    if found is None:
        raise ValueError(
            f'Weights on the hub are named "hf://organization/name" or "hf://organization/name@revision". Received: {weights!r}.'
        )
    return found[1], found[2] or ""


def _configuration(weights: str) -> dict[str, Any]:
    """timm's `config.json` in a repository of the hub, in its form of today or the one of 2022, a single dictionary."""
    from keras_resnet.weights import download

    path = download.download_from_hub(_hub_parts(weights)[0], "config.json", _hub_parts(weights)[1])
    problem = "is larger than 1 MB" if path.stat().st_size > MOST_CONFIG_BYTES else ""
    try:
        config = {} if problem else json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        config, problem = {}, f"is no JSON ({error})"
    if not problem and not (isinstance(config, dict) and isinstance(config.get("architecture"), str)):
        problem = "names no architecture, as timm's do"
    if problem:
        raise ValueError(f"The configuration of {weights!r}, {str(path)!r}, {problem}.")
    details = config.get("pretrained_cfg")
    return config if isinstance(details, dict) else {"architecture": config["architecture"], "pretrained_cfg": config}


def _of_hub(model_name: str, weights: str, row: Mapping[str, Any]) -> Source:
    repository, revision = _hub_parts(weights)
    config = _configuration(weights)
    details, arguments = config["pretrained_cfg"], config.get("model_args") or {}
    if config["architecture"] != model_name:
        raise ValueError(f"{weights!r} holds the weights of {config['architecture']!r}, not of {model_name!r}.")
    pool = arguments.get("global_pool", config.get("global_pool")) or "avg"
    expected = "token" if model_name.startswith("vit") else "avg"
    try:
        settings = timm_settings.translated(arguments, row)
        if pool != expected and not (expected == "token" and "global_pool" not in arguments):
            raise ValueError(f"its head takes global_pool={pool!r}, and here there is {expected!r} alone")
    except ValueError as error:
        raise ValueError(f"{weights!r} is no {model_name} as it is built here: {error}.") from error
    # The head is that of the file: timm too lets what stands outside go first.
    own = {name: config[name] for name in ("num_classes",) if name in config}
    try:
        checkpoint = _checkpoint(model_name, repository, revision, {**config, **details, **own})
        channels = int(arguments.get("in_chans", details.get("input_size", (3,))[0]))
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise ValueError(f"The configuration of {weights!r} holds what timm would not write ({error!r}).") from error
    settings |= _settings(checkpoint) | ({"channels": channels} if channels != 3 else {})

    def fetch() -> pathlib.Path:
        from keras_resnet.weights import download

        try:
            return download.download_from_hub(repository, checkpoint.file, revision)
        except download.DownloadError as error:
            # Only where there is no such file, and not where it did not come, another one is asked for, or without a connection looked for.
            if not (download.offline() or any("EntryNotFound" in kind.__name__ for kind in type(error.__cause__).__mro__)):
                raise
            try:
                return download.download_from_hub(repository, "pytorch_model.bin", revision)
            except download.DownloadError:
                raise error from None

    return Source(fetch, checkpoint, settings)


def _checkpoint(model_name: str, repository: str, revision: str, details: Mapping[str, Any]) -> Checkpoint:
    size = int(details.get("input_size", (3, 224, 224))[1])
    mean, std = (_colours(details.get("mean", (0.485, 0.456, 0.406))), _colours(details.get("std", (0.229, 0.224, 0.225))))
    crop = float(details.get("crop_pct", 0.875))
    interpolation = details.get("interpolation", "bicubic")
    return Checkpoint(
        model=model_name,
        tag=str(details.get("tag") or repository.rpartition(".")[2]),
        source="timm",
        location=repository,
        file="model.safetensors",
        digest="",
        revision=revision,
        licence=str(details.get("license") or "unknown").lower(),
        input_size=size,
        test_input_size=int(details.get("test_input_size", (3, size, size))[1]),
        crop=crop,
        test_crop=float(details.get("test_crop_pct", crop)),
        crop_mode=str(details.get("crop_mode", "center")),
        interpolation=interpolation if interpolation in ("bilinear", "bicubic") else "bicubic",
        mean=mean,
        std=std,
        mode="torch",
        classes=int(details.get("num_classes", 1000)),
        top1=None,
        top1_source="",
    )


def _colours(values: Any) -> tuple[float, float, float]:
    """A value for each of three channels; what has one, for grey pictures, has it for all."""
    a, b, c = values * 3 if len(values) == 1 else values
    return float(a), float(b), float(c)
