"""Files as each source writes them load, and files that we write load there: keras.applications, Big Transfer, timm, torchvision."""

import keras
import numpy as np
import pytest

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.quick import ON_TORCH, quick_on_torch
from tests.weights import big_transfer, files


def original(name: str, include_top: bool = True, seed: int | None = 0) -> keras.Model:
    """A network of keras.applications with numbers of its own in every variable."""
    arguments = dict(include_top=True, classes=7) if include_top else dict(include_top=False, pooling="avg")
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), **arguments)
    return model if seed is None else numbered(model)


def numbered(model: keras.Model) -> keras.Model:
    for number, variable in enumerate(model.weights):
        shape = tuple(variable.shape)
        value = normal(*shape, seed=number, deviation=np.sqrt(2 / max(np.prod(shape[:-1]), 1)) if len(shape) > 1 else 0.1)
        variable.assign(np.abs(value) + 0.5 if variable.path.endswith(("gamma", "variance")) else value)
    return model


def ours(name: str, include_top: bool = True) -> keras.Model:
    arguments = dict(include_top=True, classes=7) if include_top else dict(include_top=False, pooling="avg")
    return keras_resnet.create_model(name, input_shape=(64, 64, 3), **arguments)


PAIRS = [("resnet50v1", "ResNet50"), ("resnet50v2", "ResNet50V2"), ("densenet121", "DenseNet121")]
DEEP = [("resnet101v1", "ResNet101"), ("densenet201", "DenseNet201")]
# What is left to `-m full`: the deep ones, and on the other backends all but one.
CASES = [
    *(PAIRS if ON_TORCH else PAIRS[:1]),
    *(pytest.param(*pair, marks=pytest.mark.full) for pair in [*([] if ON_TORCH else PAIRS[1:]), *DEEP]),
]


def same(one: keras.Model, other: keras.Model) -> bool:
    image = normal(2, 64, 64, 3)
    return tolerances.difference(as_numpy(run(one, image)), as_numpy(run(other, image))) < tolerances.GOLDEN


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")
@pytest.mark.parametrize("include_top", [True, pytest.param(False, marks=[] if ON_TORCH else pytest.mark.full)], ids=["top", "notop"])
@pytest.mark.parametrize(("name", "peer"), CASES)
def test_from_keras_applications(name, peer, include_top, tmp_path):
    theirs, model = original(peer, include_top), ours(name, include_top)
    theirs.save(tmp_path / "model.h5")
    keras_resnet.load_weights(model, tmp_path / "model.h5")
    assert same(model, theirs)


@quick_on_torch
@pytest.mark.parametrize(("name", "peer"), CASES)
def test_to_keras_applications_and_back(name, peer, tmp_path):
    model, theirs = numbered(ours(name)), original(peer, seed=None)
    keras_resnet.save_weights(model, tmp_path / "model.h5", layout="keras")
    theirs.load_weights(tmp_path / "model.h5")
    assert same(model, theirs)
    again = ours(name)
    keras_resnet.load_weights(again, tmp_path / "model.h5")
    assert files.same_numbers(again, model)
    assert [file.name for file in tmp_path.iterdir()] == ["model.h5"]


@quick_on_torch
def test_biases_are_folded_into_the_means(tmp_path):
    """A network without keras.applications' biases takes its weights, and gives its numbers."""
    theirs = original("ResNet50", include_top=False)
    model = keras_resnet.models.resnet(
        depths=(3, 4, 6, 3), strides_in="1x1", norm_epsilon=1.001e-5, input_shape=(64, 64, 3), include_top=False, pooling="avg"
    )
    keras_resnet.save_weights(numbered(ours("resnet50v1", include_top=False)), tmp_path / "model.h5", layout="keras")
    theirs.load_weights(tmp_path / "model.h5")
    keras_resnet.load_weights(model, tmp_path / "model.h5")
    assert same(model, theirs)
    keras_resnet.save_weights(model, tmp_path / "back.h5", layout="keras")
    theirs.load_weights(tmp_path / "back.h5")
    assert same(model, theirs)


@quick_on_torch
def test_a_network_with_other_strides_is_refused(tmp_path):
    """resnet50 has the shapes of keras.applications' ResNet50 and strides elsewhere."""
    keras_resnet.save_weights(ours("resnet50v1"), tmp_path / "model.h5", layout="keras")
    with pytest.raises(ValueError, match=r"strides_in='3x3'.*unlike resnet50v1"):
        keras_resnet.load_weights(ours("resnet50"), tmp_path / "model.h5")


def test_resnext_kernels_are_sums_of_depthwise_ones():
    from keras_resnet.weights import rename

    groups, inner = 4, 3
    kernel = normal(3, 3, inner, groups * inner)
    depth = rename._to_depthwise(kernel, groups)
    assert depth.shape == (3, 3, groups * inner, inner)
    assert (rename._from_depthwise(depth, groups) == kernel).all()
    x = keras.ops.convert_to_tensor(normal(1, 5, 5, groups * inner))
    spread = as_numpy(keras.ops.depthwise_conv(x, keras.ops.convert_to_tensor(depth)))  # (1, 3, 3, channels * outputs)
    summed = spread.reshape(1, 3, 3, groups, inner, inner).sum(axis=-2).reshape(1, 3, 3, groups * inner)
    grouped = as_numpy(keras.ops.conv(x, keras.ops.convert_to_tensor(kernel)))
    assert np.abs(summed - grouped).max() < 1e-4


@pytest.mark.parametrize("numbered_convs", [False, True])
def test_from_big_transfer(numbered_convs, tmp_path):
    model, fresh = (
        keras_resnet.models.resnetv2(
            **{**keras_resnet.zoo.ZOO["resnetv2_50x1_bit"].settings, "depths": (1, 2), "widths": (64, 64)},
            classes=5,
            input_shape=(32, 32, 3),
        )
        for _ in range(2)
    )
    files.filled(model, 4)
    arrays = big_transfer.arrays(files.state_dict(model))
    if numbered_convs:
        arrays = {key.replace("standardized_conv2d/", f"standardized_conv2d_{i}/"): v for i, (key, v) in enumerate(arrays.items())}
    np.savez(tmp_path / "BiT.npz", **arrays)
    keras_resnet.load_weights(fresh, tmp_path / "BiT.npz")
    assert files.same_numbers(fresh, model)
    objects = {**arrays, "resnet/head/conv2d/bias": np.array([print] * 5, object)}
    np.savez(tmp_path / "code.npz", **objects)
    with pytest.raises(ValueError, match="not numbers"):
        keras_resnet.load_weights(fresh, tmp_path / "code.npz")
    assert files.same_numbers(fresh, model)


class TestAdapting:
    """Another number of classes or channels than the file's."""

    def test_classes(self, tmp_path):
        model, fresh = files.small(3), files.small(classes=9)
        head = [as_numpy(v) for v in fresh.get_layer("head").weights]
        keras_resnet.save_weights(model, tmp_path / "model.safetensors")
        assert keras_resnet.load_weights(fresh, tmp_path / "model.safetensors", adapt=True) == "new head of 9 classes"
        for one, other in zip(fresh.weights[:-2], model.weights[:-2], strict=True):
            assert (as_numpy(one) == as_numpy(other)).all()
        assert all((as_numpy(v) == value).all() for v, value in zip(fresh.get_layer("head").weights, head, strict=True))

    @pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
    @pytest.mark.parametrize("channels", [1, 2, 6, 7])
    def test_channels(self, channels, suffix, tmp_path):
        """timm's rule: the response to a grey image in all channels stays what it was."""
        model, fresh = files.small(3), files.small(input_shape=(32, 32, channels))
        said = keras_resnet.load_weights(fresh, files.write(model, tmp_path / f"model{suffix}"), adapt=True)
        assert said == f"first convolution for {channels} channels made from 3"
        kernel, before = as_numpy(fresh.weights[0]), as_numpy(model.weights[0])
        if channels == 1:
            assert np.allclose(kernel, before.sum(2, keepdims=True), atol=1e-6)
        else:
            assert all(np.allclose(kernel[:, :, i], before[:, :, i % 3] * 3 / channels, atol=1e-7) for i in range(channels))

    def test_only_where_it_is_asked_for(self, tmp_path):
        keras_resnet.save_weights(files.small(3), tmp_path / "model.safetensors")
        with pytest.raises(ValueError, match="do not fit"):
            keras_resnet.load_weights(files.small(classes=9), tmp_path / "model.safetensors")

    def test_a_1x1_convolution_for_a_head(self, tmp_path):
        import safetensors.numpy

        model, fresh = files.small(3), files.small()
        state = files.state_dict(model)
        state["fc.weight"] = state["fc.weight"][..., None, None]
        safetensors.numpy.save_file(state, tmp_path / "model.safetensors")
        keras_resnet.load_weights(fresh, tmp_path / "model.safetensors")
        assert files.same_numbers(fresh, model)


def test_a_transformer_is_written(tmp_path):
    """Its patches are a convolution with a bias, in timm too."""
    settings = dict(dim=32, depths=(2,), num_heads=2, patch_size=8, position_grid=(4, 4), input_shape=(32, 32, 3), classes=5)
    model, fresh = files.filled(keras_resnet.models.vit(**settings), 3), keras_resnet.models.vit(**settings)
    keras_resnet.save_weights(model, tmp_path / "model.safetensors")
    keras_resnet.load_weights(fresh, tmp_path / "model.safetensors")
    assert files.same_numbers(fresh, model)


NONE_OF_THEIRS = {
    ("torchvision", ".safetensors"): (
        "resnet18d",
        "resnet20",
        "plain18",
        "resnetblur18",
        "seresnet18",
        "resnet26",
        "resnetaa34d",
        "resnetv2_18",
    ),
    ("keras", ".h5"): ("resnet18", "resnet20", "resnet50", "preresnet20", "resnetv2_50", "densenet40_k12", "densenet161", "nf_resnet26"),
    ("timm", ".safetensors"): ("resnet20", "plain18", "preresnet20", "densenet40_k12", "wrn16_4"),
}


@quick_on_torch
@pytest.mark.parametrize(("layout", "suffix", "name"), [(*key, name) for key, names in NONE_OF_THEIRS.items() for name in names])
def test_a_network_that_another_library_has_not(layout, suffix, name, tmp_path):
    model = keras_resnet.create_model(name, include_top=False)
    with pytest.raises(ValueError, match=name):
        keras_resnet.save_weights(model, tmp_path / f"model{suffix}", layout=layout)
    assert not list(tmp_path.iterdir())


@quick_on_torch
@pytest.mark.parametrize(
    "settings", [dict(activation="silu"), dict(anti_alias="blur"), dict(strides_in="1x1"), dict(norm="group")], ids=str
)
def test_a_network_of_the_same_shapes_is_not_theirs(settings, tmp_path):
    """torchvision would take the file, and give other numbers."""
    with pytest.raises(ValueError, match="torchvision cannot take"):
        keras_resnet.save_weights(
            keras_resnet.ResNet50(weights=None, include_top=False, **settings), tmp_path / "m.pth", layout="torchvision"
        )


@quick_on_torch
@pytest.mark.parametrize("settings", [dict(output_stride=8), dict(dropout=0.1, stochastic_depth=0.2, classes=3), dict(remat=True)], ids=str)
def test_what_changes_no_number_is_theirs(settings, tmp_path):
    model = keras_resnet.ResNet50(weights=None, input_shape=(64, 64, 3), **settings)
    keras_resnet.save_weights(model, tmp_path / "m.safetensors", layout="torchvision")


@quick_on_torch
@pytest.mark.parametrize("name", ["resnet18", "resnet20", "densenet40_k12", "vit_tiny_patch16_224", "nf_resnet26"])
def test_a_file_of_keras_applications_for_none_of_its_networks(name, tmp_path):
    keras_resnet.save_weights(ours("resnet50v1"), tmp_path / "model.h5", layout="keras")
    with pytest.raises(ValueError, match=name):
        keras_resnet.load_weights(keras_resnet.create_model(name, include_top=False), tmp_path / "model.h5")


@quick_on_torch
def test_names_of_the_published_densenets(tmp_path):
    """Those of 2018 have a stroke in the first two layers' names, and another head."""
    import h5py

    model, fresh = numbered(ours("densenet121")), ours("densenet121")
    keras_resnet.save_weights(model, tmp_path / "new.h5", layout="keras")
    with h5py.File(tmp_path / "new.h5") as new, h5py.File(tmp_path / "old.h5", "w") as old:
        for layer in new:
            name = {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn", "predictions": "fc1000"}.get(layer, layer)
            for key, values in new[layer][layer].items():
                old.create_dataset(f"{name}/{name}/{key}", data=values[()])
    keras_resnet.load_weights(fresh, tmp_path / "old.h5")
    assert files.same_numbers(fresh, model)


@quick_on_torch
def test_what_another_library_has_no_place_for_is_not_written(tmp_path):
    for name, layout in (("resnet50v1", "timm"), ("resnet50v2", "torchvision"), ("vit_tiny_patch16_224", "keras"), ("resnet50", "keras")):
        model = keras_resnet.create_model(name, input_shape=(32, 32, 3) if "resnet" in name else (224, 224, 3))
        with pytest.raises(ValueError, match=f"{layout} cannot|keras.applications: "):
            keras_resnet.save_weights(model, tmp_path / ("m.h5" if layout == "keras" else "m.pth"), layout=layout)
    with pytest.raises(ValueError, match="must end in"):
        keras_resnet.save_weights(model, tmp_path / "m.bin", layout="timm")
    with pytest.raises(ValueError, match="Make it first"):
        keras_resnet.save_weights(model, tmp_path / "no" / "m.h5", layout="keras")
    assert not list(tmp_path.iterdir())
