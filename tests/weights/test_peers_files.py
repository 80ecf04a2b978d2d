"""Files as each source writes them load, and files that we write load there: keras.applications, Big Transfer, timm, torchvision."""

import keras
import numpy as np
import pytest

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
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


def same(one: keras.Model, other: keras.Model) -> bool:
    image = normal(2, 64, 64, 3)
    return tolerances.difference(as_numpy(run(one, image)), as_numpy(run(other, image))) < tolerances.GOLDEN


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")
@pytest.mark.parametrize("include_top", [True, False], ids=["top", "notop"])
@pytest.mark.parametrize(("name", "peer"), [*PAIRS, *(pytest.param(*pair, marks=pytest.mark.full) for pair in DEEP)])
def test_from_keras_applications(name, peer, include_top, tmp_path):
    theirs, model = original(peer, include_top), ours(name, include_top)
    theirs.save(tmp_path / "model.h5")
    keras_resnet.load_weights(model, tmp_path / "model.h5")
    assert same(model, theirs)


@pytest.mark.parametrize(("name", "peer"), [*PAIRS, *(pytest.param(*pair, marks=pytest.mark.full) for pair in DEEP)])
def test_to_keras_applications_and_back(name, peer, tmp_path):
    model, theirs = numbered(ours(name)), original(peer, seed=None)
    keras_resnet.save_weights(model, tmp_path / "model.h5", layout="keras")
    theirs.load_weights(tmp_path / "model.h5")
    assert same(model, theirs)
    again = ours(name)
    keras_resnet.load_weights(again, tmp_path / "model.h5")
    assert files.same_numbers(again, model)
    assert [file.name for file in tmp_path.iterdir()] == ["model.h5"]


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


TORCH = {
    "resnet": lambda **k: files.small(**k),
    "SE, blur, deep": lambda **k: files.small(stem="deep", shortcut="avg_pool", attention="se", anti_alias="blur", **k),
    "DenseNet": lambda **k: keras_resnet.models.densenet(
        depths=(2, 2), growth_rate=8, stem_width=16, classes=5, input_shape=(32, 32, 3), **k
    ),
}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="reading and writing .pth needs PyTorch")


class TestPickles:
    """PyTorch's own files, as they come from training programs."""

    @pytest.mark.parametrize("kind", TORCH)
    def test_round_trip(self, torch, kind, tmp_path):
        model, fresh = files.filled(TORCH[kind](), 3), TORCH[kind]()
        keras_resnet.save_weights(model, tmp_path / "model.pth", layout="timm")
        assert not [key for key in torch.load(tmp_path / "model.pth", weights_only=True) if "/" in key]
        keras_resnet.load_weights(fresh, tmp_path / "model.pth")
        assert files.same_numbers(fresh, model)

    @pytest.mark.parametrize("nest", ["state_dict", "model", "state_dict_ema"])
    @pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
    def test_checkpoint_of_a_training_run(self, torch, nest, archive, tmp_path):
        """In a nest, beside an epoch and an optimizer, with the prefix of DataParallel, in either of PyTorch's formats."""
        model, fresh = files.small(3), files.small()
        state = {f"module.{key}": torch.from_numpy(value.copy()) for key, value in files.state_dict(model).items()}
        torch.save({"epoch": 3, nest: state, "optimizer": {"lr": 0.1}}, tmp_path / "last.pth", _use_new_zipfile_serialization=archive)
        keras_resnet.load_weights(fresh, tmp_path / "last.pth")
        assert files.same_numbers(fresh, model)

    @pytest.mark.parametrize(
        ("averaged", "plain"), [("state_dict_ema", "state_dict"), ("model_ema", "model"), ("ema", "net"), ("model_ema", "state_dict")]
    )
    def test_moving_averages_come_first(self, torch, averaged, plain, tmp_path):
        """As in timm, also with what `torch.optim.swa_utils` adds to them; an empty place for them counts as none."""
        model, other, fresh = files.small(3), files.small(4), files.small()
        ours, theirs = ({key: torch.from_numpy(value.copy()) for key, value in files.state_dict(m).items()} for m in (model, other))
        wrapped = {"n_averaged": torch.tensor(5), **{f"module.{key}": value for key, value in ours.items()}}
        for state in (ours, wrapped):
            torch.save({plain: theirs, averaged: state, "epoch": 3}, tmp_path / "last.pth.tar")
            files.filled(fresh, 5)
            keras_resnet.load_weights(fresh, tmp_path / "last.pth.tar")
            assert files.same_numbers(fresh, model)
        for nothing in (None, {}):
            torch.save({averaged: nothing, plain: theirs}, tmp_path / "last.pth.tar")
            keras_resnet.load_weights(fresh, tmp_path / "last.pth.tar")
            assert files.same_numbers(fresh, other)

    @pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
    def test_what_a_training_program_leaves_is_refused_with_advice(self, torch, archive, tmp_path):
        """Its options are an object, which is not built; nor are weights looked for in places that have other names."""
        import argparse

        model, state = files.small(3), {key: torch.from_numpy(value) for key, value in files.state_dict(files.small(4)).items()}
        path, before = tmp_path / "last.pth.tar", [as_numpy(v).tobytes() for v in model.weights]
        for content, says in (
            ({"args": argparse.Namespace(lr=0.1), "state_dict": state}, "'argparse.Namespace', which is no part of a state dict"),
            ({"epoch": 3, "weights": state}, "its entry 'epoch' is no tensor"),
            ({"state_dict": [state]}, "its entry 'state_dict' is no tensor"),
            ([state], "there is no state dict in it"),
        ):
            torch.save(content, path, _use_new_zipfile_serialization=archive)
            with pytest.raises(ValueError, match="save its weights alone") as caught:
                keras_resnet.load_weights(model, path)
            assert says in str(caught.value)
            assert "torch.save(torch.load(path, weights_only=False)['state_dict'], 'weights.pth')" in str(caught.value)
            assert [as_numpy(v).tobytes() for v in model.weights] == before
        torch.save(torch.load(path, weights_only=False)[0], tmp_path / "weights.pth")  # what it advises
        keras_resnet.load_weights(model, tmp_path / "weights.pth")
        assert files.same_numbers(model, files.small(4))

    def test_advice_survives_the_longest_name(self, torch, tmp_path):
        torch.save({"x" * 5000: 1}, tmp_path / "model.pth")
        with pytest.raises(ValueError, match=r"Only where you trust .*'weights\.pth'\)\)"):
            keras_resnet.load_weights(files.small(3), tmp_path / "model.pth")

    def test_old_names_of_densenets(self, torch, tmp_path):
        """torchvision's files say `denselayer1.norm.1.weight`."""
        import re

        model, fresh = files.filled(TORCH["DenseNet"](), 3), TORCH["DenseNet"]()
        keras_resnet.save_weights(model, tmp_path / "new.pth", layout="timm")
        state = torch.load(tmp_path / "new.pth", weights_only=True)
        old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value for key, value in state.items()}
        assert "features.denseblock1.denselayer1.norm.1.weight" in old
        torch.save(old, tmp_path / "old.pth")
        keras_resnet.load_weights(fresh, tmp_path / "old.pth")
        assert files.same_numbers(fresh, model)
        torch.save({**state, "features.denseblock1.denselayer1.norm.1.weight": torch.ones(16)}, tmp_path / "twice.pth")
        with pytest.raises(ValueError, match="twice"):
            keras_resnet.load_weights(fresh, tmp_path / "twice.pth")

    @pytest.mark.parametrize("kind", ["code", "plain pickle", "no tensors", "list"])
    def test_hostile(self, torch, kind, tmp_path):
        import pickle

        class Payload:
            def __reduce__(self):
                import os

                return os.mkdir, (str(tmp_path / "run"),)

        path, model = tmp_path / "model.pth", files.small(3)
        content = {"code": {"fc.weight": Payload()}, "no tensors": {"fc.weight": 3}, "list": [1, 2]}.get(kind)
        if kind == "plain pickle":
            path.write_bytes(pickle.dumps({"fc.weight": Payload()}))
        else:
            torch.save(content, path)
        before = [as_numpy(v).tobytes() for v in model.weights]
        with pytest.raises(ValueError, match="cannot be read"):
            keras_resnet.load_weights(model, path)
        assert not (tmp_path / "run").exists()
        assert [as_numpy(v).tobytes() for v in model.weights] == before

    def test_a_pytorch_that_is_not_safe_is_not_used(self, torch, tmp_path, monkeypatch):
        model = files.small(3)
        keras_resnet.save_weights(model, tmp_path / "model.pth", layout="timm")
        monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
        with pytest.raises(ValueError, match=r"2\.5\.1.*could run code.*safetensors\.torch\.save_file"):
            keras_resnet.load_weights(model, tmp_path / "model.pth")


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


@pytest.mark.parametrize(("layout", "suffix", "name"), [(*key, name) for key, names in NONE_OF_THEIRS.items() for name in names])
def test_a_network_that_another_library_has_not(layout, suffix, name, tmp_path):
    model = keras_resnet.create_model(name, include_top=False)
    with pytest.raises(ValueError, match=name):
        keras_resnet.save_weights(model, tmp_path / f"model{suffix}", layout=layout)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings", [dict(activation="silu"), dict(anti_alias="blur"), dict(strides_in="1x1"), dict(norm="group")], ids=str
)
def test_a_network_of_the_same_shapes_is_not_theirs(settings, tmp_path):
    """torchvision would take the file, and give other numbers."""
    with pytest.raises(ValueError, match="torchvision cannot take"):
        keras_resnet.save_weights(
            keras_resnet.ResNet50(weights=None, include_top=False, **settings), tmp_path / "m.pth", layout="torchvision"
        )


@pytest.mark.parametrize("settings", [dict(output_stride=8), dict(dropout=0.1, stochastic_depth=0.2, classes=3), dict(remat=True)], ids=str)
def test_what_changes_no_number_is_theirs(settings, tmp_path):
    model = keras_resnet.ResNet50(weights=None, input_shape=(64, 64, 3), **settings)
    keras_resnet.save_weights(model, tmp_path / "m.safetensors", layout="torchvision")


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "densenet40_k12", "vit_tiny_patch16_224", "nf_resnet26"])
def test_a_file_of_keras_applications_for_none_of_its_networks(name, tmp_path):
    keras_resnet.save_weights(ours("resnet50v1"), tmp_path / "model.h5", layout="keras")
    with pytest.raises(ValueError, match=name):
        keras_resnet.load_weights(keras_resnet.create_model(name, include_top=False), tmp_path / "model.h5")


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
