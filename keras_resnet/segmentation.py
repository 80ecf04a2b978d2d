"""Joins networks for dense prediction with the zoo: a decoder on an encoder that is named, with or without published weights."""

import difflib
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.models.deeplab import deeplab_v3_plus
from keras_resnet.models.densenet import cifar_densenet, densenet
from keras_resnet.models.fpn import fpn
from keras_resnet.models.unet import unet, unet_plus_plus
from keras_resnet.weights import load
from keras_resnet.zoo import ZOO, create_model

_OF_ENCODER = """encoder: one of `list_models(task="classification")`, such as `"resnet34"`, with weights behind a dot,
            `"resnet34.a1_in1k"`; or a network without top, on whose own input the decoder is built.
        encoder_weights: as `weights` in `create_model`: `None` for random ones, `"imagenet"`, a tag, a file. A named encoder's.
        weights: a file for the whole network, as in `load_weights`: segmentation_models.pytorch's `.safetensors` too; or `None`.
        input_shape: of an image, without the batch; height and width may be `None`. A named encoder's.
        output_stride, data_format, dtype: as in the encoder's builder. A named encoder's.
        """


def _segmenter(name: str, builder: Callable[..., keras.Model], stride: int | None = None, beside: str = "") -> Callable[..., keras.Model]:
    """`builder` with an encoder by name, of output stride `stride`, as a real function for `help()` and for editors.

    `beside` is a line of its docstring on what could be taken for it.
    """

    def construct(
        encoder: str | keras.Model = "resnet34",
        encoder_weights: Any = None,
        weights: str | os.PathLike | None = None,
        input_shape: Sequence | None = None,
        output_stride: int | None = None,
        data_format: str | None = None,
        dtype: Any = None,
        **settings: Any,
    ) -> keras.Model:
        if output_stride is None and _takes(encoder, "output_stride"):
            output_stride = stride
        of_encoder = dict(
            encoder_weights=encoder_weights, input_shape=input_shape, output_stride=output_stride, data_format=data_format, dtype=dtype
        )
        allowed = inspect.signature(builder).parameters
        unknown = [one for one in settings if one not in allowed]
        if unknown:
            taken = ["encoder", "weights", *of_encoder, *(one for one in allowed if one != "encoder")]
            raise TypeError(f"{name} has no argument {unknown[0]!r}. It takes: {', '.join(taken)}.")
        dilates = stride is not None and _takes(encoder, "dilates_first")
        made = _encoder(encoder, of_encoder, dict(dilates_first=True) if dilates else {})
        model = builder(encoder=made, **settings)
        model.checkpoint = getattr(made, "checkpoint", None)  # of which pictures its weights were trained on
        if weights is not None:
            load.load_weights(model, weights)
        return model

    own = [p.replace(kind=p.KEYWORD_ONLY) for key, p in inspect.signature(builder).parameters.items() if key != "encoder"]
    signature = inspect.signature(construct)
    given = [
        p.replace(default=stride) if p.name == "output_stride" else p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD
    ]
    construct.__signature__ = signature.replace(parameters=[*given, *own])  # type: ignore[attr-defined]
    construct.__name__ = construct.__qualname__ = name
    construct.__module__ = "keras_resnet"
    doc = inspect.getdoc(builder) or ""
    start = doc.index("Args:")
    construct.__doc__ = (
        f"{doc[:start]}{beside}Args:\n        {_OF_ENCODER}"
        + "the rest: as in `keras_resnet.models."
        + builder.__name__
        + "`.\n"
        + doc[start:]
    )
    return construct


def _takes(encoder: Any, argument: str) -> bool:
    """Whether an encoder is named whose builder has this argument."""
    name = encoder.partition(".")[0] if isinstance(encoder, str) else None
    return name in ZOO and argument in inspect.signature(ZOO[name].builder).parameters


def _encoder(encoder: Any, settings: dict, more: dict) -> keras.Model:
    """The encoder itself, without top; of `settings` those that are given, and `more`."""
    if isinstance(encoder, keras.Model):
        extra = [name for name, value in settings.items() if value is not None]
        if extra:
            raise ValueError(f"`{extra[0]}` is for an encoder that is named; this one is a model already, {encoder.name!r}.")
        return encoder
    name = encoder.partition(".")[0] if isinstance(encoder, str) else ""
    if name not in ZOO and not (isinstance(encoder, str) and encoder.startswith("hf://")):
        close = difflib.get_close_matches(name.lower(), ZOO, n=3, cutoff=0.5)
        hint = f" Closest: {', '.join(close)}." if close else ""
        raise ValueError(
            f'An encoder is one of keras_resnet.list_models(task="classification"), such as "resnet34", or a network without top.{hint} '
            f"Received: encoder={encoder!r}."
        )
    dense = name in ZOO and ZOO[name].builder in (densenet, cifar_densenet)
    settings = dict(settings)
    weights = settings.pop("encoder_weights")
    settings = {key: value for key, value in settings.items() if value is not None} | more
    return create_model(encoder, weights, include_top=False, **settings, **({"as_encoder": True} if dense else {}))


UNet = _segmenter("UNet", unet, beside="The original U-Net, with an encoder of its own, is `keras_resnet.PlainUNet`.\n\n")
UNetPlusPlus = _segmenter("UNetPlusPlus", unet_plus_plus, beside="UNet++ of its paper, with its own, is `keras_resnet.NestedUNet`.\n\n")
FPN = _segmenter("FPN", fpn)
DeepLabV3Plus = _segmenter("DeepLabV3Plus", deeplab_v3_plus, stride=16)
