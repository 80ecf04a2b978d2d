"""Joins the tables of all families with the loader of weights: networks by name, their list, and a constructor for each."""

import difflib
import fnmatch
import inspect
import re
from collections.abc import Callable
from typing import Any

import keras

from keras_resnet.models.cifar import CIFAR_RESNETS
from keras_resnet.models.densenet import DENSENETS
from keras_resnet.models.normfree import NORM_FREE
from keras_resnet.models.preresnet import PRERESNETS
from keras_resnet.models.resnet import RESNETS
from keras_resnet.models.row import Row
from keras_resnet.models.vit import VITS
from keras_resnet.weights import load

ZOO: dict[str, Row] = {**RESNETS, **PRERESNETS, **NORM_FREE, **CIFAR_RESNETS, **DENSENETS, **VITS}

# What keras.applications' constructors take, in their order; the builder's other settings come behind, by keyword.
FAMILIAR = ("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation", "name")
_WORDS = {
    "bit": "BiT",
    "densenet": "DenseNet",
    "densenetbc": "DenseNetBC",
    "densenetblur": "DenseNetBlur",
    "ecaresnet": "ECAResNet",
    "gn": "GN",
    "nf": "NF",
    "patch": "Patch",
    "plain": "Plain",
    "preresnet": "PreResNet",
    "resnet": "ResNet",
    "resnetaa": "ResNetAA",
    "resnetblur": "ResNetBlur",
    "resnetrs": "ResNetRS",
    "resnetv": "ResNetV",
    "resnext": "ResNeXt",
    "sd": "SD",
    "senet": "SENet",
    "seresnet": "SEResNet",
    "seresnetaa": "SEResNetAA",
    "seresnext": "SEResNeXt",
    "seresnextaa": "SEResNeXtAA",
    "v": "V",
    "vit": "ViT",
    "wide": "Wide",
    "wrn": "WRN",
    "tiny": "Tiny",
    "large": "Large",
    "small": "Small",
    "base": "Base",
}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the networks, sorted by kind and depth.

    Args:
        pattern: a shell pattern, such as `"resnet*"`.
    """

    if not isinstance(pattern, str):
        raise ValueError(f'`pattern` must be a shell pattern, such as "resnet*". Received: pattern={pattern!r}.')

    def order(name: str) -> list:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    return sorted(fnmatch.filter(ZOO, pattern), key=order)


def create_model(model_name: str, weights: Any = None, **settings: Any) -> keras.Model:
    """Builds a network by name.

    ```python
    model = keras_resnet.create_model("resnet50", classes=10, input_shape=(224, 224, 3))
    ```

    Args:
        model_name: one of `list_models()`.
        weights: `None` for random ones, or the path of a file: `.safetensors` with the keys of timm and torchvision, or our own
            `.weights.h5` or `.keras`. Only the numbers are read; every one of them must fit.
        **settings: arguments of the builder: those of `keras.applications`, and of the function in `keras_resnet.models` that
            builds its family, such as `resnet`, `densenet` or `vit`.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: at an unknown name (the error names the closest), an argument outside what the builder lists, or weights that
            do not fit.
        TypeError: at an argument that the builder does not have.
        FileNotFoundError: if there is no file at `weights`.
    """
    if not isinstance(model_name, str) or model_name not in ZOO:
        close = difflib.get_close_matches(str(model_name).lower(), ZOO, n=3, cutoff=0.5)
        hint = f" Closest: {', '.join(close)}." if close else ""
        raise ValueError(f"There is no network named {model_name!r}.{hint} keras_resnet.list_models() lists all {len(ZOO)}.")
    row = ZOO[model_name]
    allowed = inspect.signature(row.builder).parameters
    for name in settings:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{model_name} has no argument {name!r}.{hint} It takes: weights, {', '.join(allowed)}.")
    if weights is not None:
        load.check_source(weights)
    model = row.builder(**{"name": model_name, **row.settings, **settings})
    if weights is not None:
        load.load_weights(model, weights)
    return model


def constructor_name(model_name: str) -> str:
    """`"resnet50"` is built by `ResNet50`, `"wide_resnet50_2"` by `WideResNet50_2`: known words get their usual capitals."""
    capitals = re.sub(r"[a-z]+", lambda word: _WORDS.get(word[0], word[0]), model_name)
    return re.sub(r"^(NF|Wide|ViT)_", r"\1", capitals)


def _constructor(model_name: str, row: Row) -> Callable[..., keras.Model]:
    """A real function with its own signature and docstring, for `help()` and for editors."""
    builder = inspect.signature(row.builder).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    weights = inspect.Parameter("weights", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Any)
    given = {**row.settings, "name": model_name}
    known = {name: p.replace(default=given.get(name, p.default)) for name, p in builder.items()} | {"weights": weights}
    parameters = [known[name] for name in FAMILIAR]
    parameters += [p.replace(kind=keyword) for name, p in known.items() if name not in FAMILIAR]
    signature = inspect.Signature(parameters, return_annotation=keras.Model)

    def construct(*args: Any, **kwargs: Any) -> keras.Model:
        bound = signature.bind(*args, **kwargs)
        return create_model(model_name, **bound.arguments)

    construct.__name__ = construct.__qualname__ = constructor_name(model_name)
    construct.__signature__ = signature  # type: ignore[attr-defined]
    construct.__module__ = "keras_resnet"
    differs = ", ".join(f"{name}={value!r}" for name, value in row.settings.items())
    doc = inspect.getdoc(row.builder) or ""
    args = doc[doc.index("Args:") :]
    construct.__doc__ = (
        f"Builds {model_name}: {row.builder.__name__}({differs}), {row.params:,} trainable parameters at "
        f"{builder['classes'].default} classes.\n\n"
        "`weights` is `None` for random ones, or the path of a file, as in `create_model`.\n\n" + args
    )
    return construct


CONSTRUCTORS: dict[str, Callable[..., keras.Model]] = {constructor_name(name): _constructor(name, row) for name, row in ZOO.items()}
