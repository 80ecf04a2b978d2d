"""The vision transformers: timm's logits, any size of image, and what every network of the zoo must do."""

import functools
import re

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import layers
from keras_resnet.layers.resized_grid import cubic_weights, resized_grid
from keras_resnet.models.vit import VITS, vit
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import check_layer, run
from tests.check_model import check_model
from tests.golden import seeded, seeded_vit
from tests.gradients import layer_gradients
from tests.quick import ON_TORCH

small = functools.partial(vit, dim=24, depths=(1, 2), num_heads=3, patch_size=8, position_grid=(3, 4))
LAYERS = {
    "stem": (layers.PatchStem, dict(filters=6, patch_size=3)),
    "tokens": (layers.Tokens, dict(grid=(4, 3))),
    "tokens_dropout": (layers.Tokens, dict(grid=(9, 8), dropout=0.2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, tmp_path):
    layer, settings = LAYERS[name]
    if name == "stem":
        check_layer(functools.partial(layer, **settings), (3, 9, 8, 8), tmp_path)
    else:  # whose output is no map, but the same for both data formats
        check_layer(functools.partial(layer, **settings), (3, 9, 8, 8), tmp_path, has_formats=False)
        last, first = (layer(data_format=data_format, **settings) for data_format in ("channels_last", "channels_first"))
        x = normal(3, 9, 8, 8)
        last.build(x.shape)
        y = as_numpy(run(last, x))
        first.build((3, 8, 9, 8))
        for new, old in zip(first.trainable_variables, last.trainable_variables, strict=True):
            new.assign(old.value)
        assert (as_numpy(run(first, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))) == y).all()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_map_survives_the_way_to_tokens_and_back(data_format):
    x = normal(2, 3, 4, 5)
    tokens, back = layers.Tokens((3, 4), data_format=data_format), layers.TokenMap(data_format=data_format)
    tokens.build(x.shape)
    for variable in tokens.variables:
        variable.assign(keras.ops.zeros(variable.shape))
    there = tokens(x)
    assert there.shape == ((2, 13, 5) if data_format == "channels_last" else (2, 21, 3))
    assert (as_numpy(back([there, keras.ops.convert_to_tensor(x)])) == x).all()
    assert back.compute_output_shape([there.shape, x.shape]) == x.shape
    assert (as_numpy(layers.ClassToken()(there)) == 0).all()


def test_every_layer_has_a_configuration():
    for layer in (layers.TokenMap("channels_first"), layers.ClassToken(), layers.Tokens([2, 3], 0.5), layers.PatchStem(3)):
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param(dict(backbone_depths=(1, 1), patch_size=2), marks=() if ON_TORCH else pytest.mark.full),
        dict(layer_scale=0.1, stochastic_depth=0.2, remat=True, qkv_bias=False),
        dict(pre_norm=False, residual_scale="1/sqrt(N)"),
    ],
    ids=str,
)
def test_network(settings, tmp_path):
    backbone = {"stage1": 4, "stage2": 8} if "backbone_depths" in settings else {}
    strides = backbone | {f"stage{i + len(backbone)}": 8 * settings.get("patch_size", 1) for i in (1, 2)}
    check_model(functools.partial(small, **settings), 25, strides, tmp_path)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="A count does not depend on the backend; JAX counts for all.")
@pytest.mark.parametrize("name", VITS)
def test_parameters(name, monkeypatch):
    monkeypatch.setattr(layers.HeNormal, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
    row = VITS[name]
    model = row.builder(**row.settings)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == row.params


def timm_key(model: keras.Model, path: str) -> str:
    """timm's name of the variable at `path`."""
    layer, _, rest = path.partition("/")
    blocks = [one.name for one in model.layers if isinstance(one, layers.TransformerBlock)]
    patches = "patches" if any(one.name == "patches" for one in model.layers) else "stem"
    stage, place = map(int, re.findall(r"\d+", layer)) if "_block" in layer else (0, 0)
    names = {"tokens/": "", "stem/": "patch_embed.backbone.stem.", f"{patches}/": "patch_embed."}
    front = f"blocks.{blocks.index(layer)}." if layer in blocks else f"patch_embed.backbone.stages.{stage - 1}.blocks.{place - 1}."
    front = front if stage else names.get(f"{layer}/", f"{layer}.")
    inside = {"class_token": "cls_token", "position": "pos_embed", "attention/": "attn.", "shortcut/": "downsample."}
    inside |= {"mlp1": "mlp.fc1", "mlp2": "mlp.fc2", "projection": "proj", "kernel": "weight", "gamma": "weight", "beta": "bias", "/": "."}
    for ours, theirs in inside.items():
        rest = rest.replace(ours, theirs)
    return (front + rest).replace("patch_embed.conv.", "patch_embed.proj.")


def golden_model(name: str, **settings) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """The network with the weights of the golden file, and the file."""
    with np.load(seeded.FOLDER / f"{name}.npz") as held:
        file = dict(held)
    shapes = {key: tuple(map(int, sizes)) for key, *sizes in (line.split() for line in str(file["tensors"]).splitlines())}
    row = VITS[name]
    model = row.builder(
        **{**row.settings, **seeded_vit.CASES[name][0], "classifier_activation": None, "input_shape": (None, None, 3), **settings}
    )
    for layer in model.layers:
        for variable in layer.variables:
            key = timm_key(model, f"{layer.name}/{variable.path.split(f'{layer.name}/', 1)[-1]}")
            value = seeded_vit.weight(key, shapes.pop(key))
            value = value.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, range(value.ndim)))
            assert value.shape == variable.shape, key
            variable.assign(value)
    assert not shapes, f"without a place: {list(shapes)}"
    return model, file


@pytest.mark.parametrize("name", seeded_vit.CASES)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_logits(name, data_format):
    """On TensorFlow height and width are unknown while the network is traced."""
    first = data_format == "channels_first"
    model, file = golden_model(name, data_format=data_format, input_shape=(3, None, None) if first else (None, None, 3))
    for size in seeded_vit.SIZES if not first else seeded_vit.SIZES[1:]:
        expected = file[seeded_vit.name_of(size)]
        assert seeded.spread(expected) > seeded_vit.CASES[name][2]
        x = seeded_vit.images(size)
        found = tolerances.difference(model.predict(x.transpose(0, 3, 1, 2) if first else x, verbose=0), expected)
        print(f"{name} at {size}: difference {found:.1e}")  # shown by -s
        assert found < tolerances.GOLDEN


@pytest.mark.parametrize("name", seeded_vit.CASES)
def test_logits_of_a_known_size_and_on_the_reference(name):
    size = seeded_vit.SIZES[1]
    model, file = golden_model(name, input_shape=(*size, 3))
    expected = file[seeded_vit.name_of(size)]
    assert tolerances.difference(as_numpy(run(model, seeded_vit.images(size))), expected) < tolerances.GOLDEN
    with keras_resnet.backend.use_reference():
        assert tolerances.difference(as_numpy(run(model, seeded_vit.images(size))), expected) < tolerances.GOLDEN


def test_gradients():
    """Every variable has one, also of positions that are resized."""
    model = small(input_shape=(40, 21, 3), classes=5)
    for i, variable in enumerate(model.trainable_variables):
        variable.assign(as_numpy(variable) + normal(*variable.shape, seed=i, deviation=0.1))
    _, gradients, _ = layer_gradients(model, normal(2, 40, 21, 3))
    assert len(gradients) == 1 + len(model.trainable_variables)
    for path, gradient in gradients.items():
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 0, path


@pytest.mark.parametrize("new", [1, 3, 14, 15, 41])
def test_weights_of_the_resizing(new):
    """Constant maps stay constant, mirrored ones mirrored; the same whether the size is a number or a tensor."""
    weights = cubic_weights(14, new)
    assert weights.shape == (new, 14)
    assert np.allclose(weights.sum(1), 1, atol=1e-6)
    assert np.allclose(weights, weights[::-1, ::-1], atol=1e-6)
    assert (new != 14) or (weights == np.eye(14)).all()
    assert np.abs(as_numpy(cubic_weights(14, keras.ops.convert_to_tensor(new))) - weights).max() < 1e-5


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="Beside PyTorch's own function.")
@pytest.mark.parametrize("size", [(7, 20), (14, 9), (1, 30), (40, 3)])
def test_resizing_is_that_of_pytorch(size):
    import torch

    grid = torch.from_numpy(normal(14, 10, 4))
    theirs = torch.nn.functional.interpolate(grid.permute(2, 0, 1)[None], size, mode="bicubic", antialias=True)[0].permute(1, 2, 0)
    assert tolerances.difference(as_numpy(resized_grid(grid, size)), theirs.numpy()) < tolerances.OPERATION["float32"]


def test_features_are_maps():
    model = small(include_top=False, input_shape=(30, 17, 3))
    maps = keras_resnet.features(model)
    assert {name: tuple(tensor.shape) for name, tensor in maps.items()} == {"stage1": (None, 4, 3, 24), "stage2": (None, 4, 3, 24)}
    last = keras.Model(model.input, [maps["stage2"], model.output])
    x = normal(2, 30, 17, 3)
    y, normalized = (as_numpy(one) for one in last(keras.ops.convert_to_tensor(x)))
    norm = model.get_layer("norm")
    assert tolerances.difference(as_numpy(norm(y)), normalized) < tolerances.OPERATION["float32"]
    first = small(include_top=False, input_shape=(3, 30, 17), data_format="channels_first")
    assert first.output_shape == (None, 24, 4, 3)
    assert keras_resnet.features(first)["stage1"].shape == (None, 24, 4, 3)


def test_profile_counts_every_product():
    """By hand: the patches, four dense layers and two products of attention a block, and the head."""
    found = keras_resnet.profile(small(input_shape=(24, 32, 3), classes=5))
    dim, tokens, blocks = 24, 1 + 3 * 4, 3
    block = tokens * dim * dim * (3 + 1 + 4 + 4) + 2 * tokens * tokens * dim
    assert found.macs == 12 * 8 * 8 * 3 * dim + blocks * block + dim * 5
    assert all(layer.counted for layer in found.layers)


def test_heads():
    image = normal(2, 33, 32, 3)
    bare = small(include_top=False)
    assert bare.output_shape == (None, None, None, 24)
    y = as_numpy(run(bare, image))
    assert y.shape == (2, 5, 4, 24)
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        pooled = small(include_top=False, pooling=pooling)
        for new, old in zip(pooled.variables, bare.variables, strict=True):
            new.assign(old.value)
        assert tolerances.difference(as_numpy(run(pooled, image)), reduce(y, axis=(1, 2))) < tolerances.OPERATION["float32"]
    grey = small(input_shape=(None, None, 1), classes=7)
    assert run(grey, image[..., :1]).shape == (2, 7)


def test_an_image_smaller_than_a_patch_is_refused():
    with pytest.raises(ValueError, match=r"15x40 pixels .* 16x16 or larger"):
        vit(dim=12, num_heads=3, depths=(1,), input_shape=(15, 40, 3))
    model = small()
    with pytest.raises(ValueError, match="takes images"):
        model.predict(normal(1, 7, 7, 3), verbose=0)
    free = small(include_top=False)
    with pytest.raises(ValueError, match=r"7x9 pixels .* 8x8 or larger"):
        free(normal(1, 7, 9, 3))
    assert free(normal(1, 8, 8, 3)).shape == (1, 1, 1, 24)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (dict(dim=0), "dim"),
        (dict(dim=25), "num_heads=3"),
        (dict(num_heads=0), "num_heads"),
        (dict(depths=()), "depths"),
        (dict(depths=(1, 0)), "depths"),
        (dict(depths=12), "depths"),
        (dict(backbone_depths=(3, 0)), "backbone_depths"),
        (dict(patch_size=0), "patch_size"),
        (dict(position_grid=(0, 14)), "position_grid"),
        (dict(mlp_ratio=0.001), "mlp_ratio"),
        (dict(activation="gellu"), "gellu"),
        (dict(layer_scale=-1), "layer_scale"),
        (dict(stochastic_depth=1), "stochastic_depth"),
        (dict(dropout=-0.5), "dropout"),
        (dict(pooling="token", include_top=False), "pooling"),
        (dict(data_format="last"), "data_format"),
    ],
    ids=str,
)
def test_an_impossible_setting_is_refused(settings, match):
    with pytest.raises(ValueError, match=re.escape(match)):
        small(**{"input_shape": (24, 32, 3), **settings})
