"""A constructor for every network of the zoo: a real function with its own signature and docstring, made from the network's row."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import keras

from keras_resnet.models.row import Row
from keras_resnet.weights import catalogue
from keras_resnet.zoo import NETWORKS, ZOO, create_model

# What keras.applications' constructors take, in their order; what a builder has none of is left out, and its other
# settings come behind, by keyword.
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
# Of networks for dense prediction and diffusion, whose other words begin with a capital and stand without underscores.
_UNET_WORDS = {
    "_": "",
    "adm": "ADM",
    "bn": "BN",
    "cgm": "CGM",
    "cifar": "_CIFAR",
    "ddpm": "DDPM",
    "densenet": "DenseNet",
    "ds": "DS",
    "fc": "FC",
    "nnunet": "NNUNet",
    "resenc": "ResEnc",
    "resunet": "ResUNet",
    "unet": "UNet",
}
# What takes an encoder of the zoo has the names `UNet` and `UNetPlusPlus`.
_BESIDE = {
    "PlainUNet": "This network has an encoder of its own; `keras_resnet.UNet` puts its decoder on one of the zoo.\n\n",
    "NestedUNet": "This network has an encoder of its own; `keras_resnet.UNetPlusPlus` puts its decoder on one of the zoo.\n\n",
}


def constructor_name(model_name: str) -> str:
    """`"resnet50"` is built by `ResNet50`, `"wide_resnet50_2"` by `WideResNet50_2`: known words get their usual capitals.

    Networks of other tasks lose their underscores, `NNUNet3DResEnc`. `"unet"` and its forms are `PlainUNet`, `PlainUNetBN` and so on, since
    `UNet` is the one on an encoder.
    """
    if model_name not in ZOO:
        capitals = re.sub(r"[a-z]+|_", lambda word: _UNET_WORDS.get(word[0], word[0].capitalize()), model_name)
        return re.sub(r"^UNet(?!3Plus)", "PlainUNet", capitals)
    capitals = re.sub(r"[a-z]+", lambda word: _WORDS.get(word[0], word[0]), model_name)
    return re.sub(r"^(NF|Wide|ViT)_", r"\1", capitals)


def _constructor(model_name: str, row: Row) -> Callable[..., keras.Model]:
    """A real function with its own signature and docstring, for `help()` and for editors."""
    builder = inspect.signature(row.builder).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    default = "imagenet" if model_name in catalogue.DEFAULTS else None
    weights = inspect.Parameter("weights", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Any)
    given = {**row.settings, "name": model_name}
    known = {name: p.replace(default=given.get(name, p.default)) for name, p in builder.items()} | {"weights": weights}
    parameters = [known[name] for name in FAMILIAR if name in known]
    parameters += [p.replace(kind=keyword) for name, p in known.items() if name not in FAMILIAR]
    signature = inspect.Signature(parameters, return_annotation=keras.Model)

    def construct(*args: Any, **kwargs: Any) -> keras.Model:
        bound = signature.bind(*args, **kwargs)
        return create_model(model_name, **{"weights": default, **bound.arguments})

    construct.__name__ = construct.__qualname__ = constructor_name(model_name)
    construct.__signature__ = signature  # type: ignore[attr-defined]
    construct.__module__ = "keras_resnet"
    construct.__doc__ = _docstring(model_name, row, known)
    return construct


def _docstring(model_name: str, row: Row, parameters: dict[str, inspect.Parameter]) -> str:
    """What `help()` says: what differs from the builder's defaults, then the builder's arguments."""
    differs = ", ".join(f"{name}={value!r}" for name, value in row.settings.items())
    doc = inspect.getdoc(row.builder) or ""
    args = doc[doc.index("Args:") :]
    builds = f"Builds {model_name}: {row.builder.__name__}({differs}), {row.params:,} trainable parameters"
    if model_name in ZOO:
        weights = '`weights` is as in `create_model`: `"imagenet"`, a tag, the path of a file, or `None` for random ones.'
        return f"{builds} at {parameters['classes'].default} classes.\n\n{weights}\n\n{args}"
    weights = "`weights` is the path of a file, as in `load_weights`, or `None` for random ones; there are none by name."
    beside = next((text for name, text in _BESIDE.items() if constructor_name(model_name).startswith(name)), "")
    return f"{builds} with the defaults.\n\n{beside}{weights}\n\n{args}"


CONSTRUCTORS: dict[str, Callable[..., keras.Model]] = {constructor_name(name): _constructor(name, row) for name, row in NETWORKS.items()}
