"""The basic block with a shortcut that is more than an identity, for the study `shortcuts`: scaled, gated, or dropped."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_resnet.layers import BasicBlock, Conv2D, Stem
from keras_resnet.layers.configured import check_choice, check_number
from keras_resnet.layers.conv_norm import conv_norm
from keras_resnet.models import network
from training.recipe import Recipe

KINDS = ("scaled", "exclusive", "gated", "dropout")


@keras.saving.register_keras_serializable("keras_resnet_training")
class VariedShortcut(BasicBlock):
    """`relu(a * branch(x) + b * shortcut(x))`, where the shortcut is option A and `kind` says what a and b are.

    ```
    "scaled"      a = scale                     b = shortcut_scale
    "exclusive"   a = g                         b = 1 - g        g = sigmoid(conv 1x1 of the shortcut, which starts at `gate_bias`)
    "gated"       a = 1                         b = 1 - g
    "dropout"     a = 1                         b is 0 for half of the numbers in training
    ```

    Args:
        filters, strides: as in `layers.BasicBlock`.
        kind: one of the four.
        scale, shortcut_scale: of `"scaled"`.
        gate_bias: that the gate starts with: the further below 0, the more open is the shortcut.
        **kwargs: the rest of `BasicBlock`.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: He et al. 2016, arXiv:1603.05027, figure 2 and table 1. There a gate sees x; here, where the shape changes, what option A
    makes of it.
    """

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        kind: str = "scaled",
        scale: float = 1.0,
        shortcut_scale: float = 1.0,
        gate_bias: float = -6.0,
        shortcut: str = "identity",
        **kwargs: Any,
    ):
        super().__init__(filters, strides, shortcut=shortcut, **kwargs)
        check_choice("kind", kind, KINDS)
        for name in ("scale", "shortcut_scale", "gate_bias"):
            check_number(name, locals()[name])
        self.keep(locals())
        self.gate: Any = None
        self.shortcut_dropout: Any = None
        if kind == "dropout":
            self.shortcut_dropout = keras.layers.Dropout(0.5, dtype=self.dtype_policy, name="shortcut_dropout")

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        if self.kind in ("exclusive", "gated"):
            start = keras.initializers.Constant(self.gate_bias)
            settings: dict[str, Any] = dict(data_format=self.inner_format, dtype=self.dtype_policy, name="gate")
            self.gate = Conv2D(self.filters, 1, use_bias=True, bias_initializer=start, **settings)
            self.build_child(self.gate, self.filters)

    def _forward(self, x: Any, training: bool | None) -> Any:
        around, y = self._around(x, x, training), x
        for conv, norm, activation in zip(self._convs, self._norms, (self.activation, None), strict=True):
            y = conv_norm(y, conv, norm, training, activation)
        if self.kind == "scaled":
            y, around = self.scale * y, self.shortcut_scale * around
        elif self.kind == "dropout":
            around = self.shortcut_dropout(around, training=training)
        else:
            gate = ops.sigmoid(conv_norm(around, self.gate, None, training))
            y, around = gate * y if self.kind == "exclusive" else y, (1 - gate) * around
        return self.activation(y + around)


def varied(**settings: Any) -> Callable[..., keras.Model]:
    """A builder of networks from such blocks, of the depths and widths that a recipe's settings have; `settings` are the block's."""

    def build(recipe: Recipe, **head: Any) -> keras.Model:
        chosen = recipe.network.settings
        depths, widths = chosen["depths"], chosen.get("widths", (16, 32, 64))

        def body(x: Any) -> Any:
            x = Stem(widths[0], 3, 1, minimum_size=4, name="stem")(x)
            strides = network.stage_strides(depths)
            return network.stages(x, VariedShortcut, depths, widths, strides, 2 ** (len(depths) - 1), 1, **settings)

        rest: dict[str, Any] = dict(include_top=True, input_tensor=None, pooling=None, data_format="channels_last", dtype=None)
        return network.classifier(body, size=32, **rest, **head, name="varied_shortcuts")

    return build
