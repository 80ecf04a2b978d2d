"""What `summary()` prints: one row a block, with nothing cut off or broken into two lines."""

import keras
import pytest

import keras_resnet


def printed(model: keras.Model, **settings) -> list[str]:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **settings)
    return "\n".join(lines).splitlines()


@pytest.mark.parametrize("shape", [(224, 224, 3), (None, None, 3)])
def test_one_line_a_layer(shape):
    model = keras_resnet.ResNet50(weights=None, input_shape=shape)
    lines = printed(model)
    assert max(map(len, lines)) <= 80
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    expected = [
        [f"{layer.name} ({type(layer).__name__})", str(tuple(layer.output.shape)), f"{layer.count_params():,}"]
        for layer in model.layers[1:]
    ]
    assert rows[1:] == expected
    assert len(rows) == 1 + 1 + 1 + 16 + 1 + 1  # input, stem, pool, blocks, mean, head
    assert any("25,557,032" in line for line in lines)


def test_settings_of_the_caller_win():
    model = keras_resnet.ResNet20()
    assert printed(model, positions=(0.5, 0.8, 1.0)) != printed(model)
    assert len(printed(model, expand_nested=True, show_trainable=True)) >= len(printed(model))
