"""Freezing: what is frozen keeps every bit through training and files, all else learns, and each slip gets one clear error."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.learning import freeze
from keras_resnet.learning.parts import parts
from tests.arrays import as_numpy, normal

TINY = dict(input_shape=(16, 16, 3), classes=3)
RESNET = dict(depths=(1, 1), widths=(8, 16), stem_width=8, input_shape=(32, 32, 3), classes=3)


def small(family: str) -> keras.Model:
    builders = keras_resnet.models
    if family == "resnet":
        return builders.resnet(block="basic", **RESNET)
    if family == "preresnet":
        return builders.resnetv2(block="basic", **RESNET)
    if family == "densenet":
        return builders.cifar_densenet(depths=(2, 2), growth_rate=4, **TINY)
    return builders.vit(dim=16, depths=(1, 1), num_heads=2, patch_size=8, position_grid=(2, 2), **TINY)


def fit(model: keras.Model, optimizer="sgd", epochs: int = 1) -> tuple[dict, dict]:
    """All variables before and after a few steps."""
    before = {id(v): as_numpy(v).copy() for v in model.variables}
    model.compile(optimizer, "sparse_categorical_crossentropy")
    images = normal(8, *model.input_shape[1:])
    model.fit(images, np.arange(8) % 3, batch_size=4, epochs=epochs, verbose=0)
    return before, {id(v): as_numpy(v) for v in model.variables}


def changed(model: keras.Model, before: dict, after: dict, part: str) -> dict[str, list[bool]]:
    """Of the variables of a part, weights and statistics apart, which ones have changed."""
    found: dict[str, list[bool]] = {"weights": [], "statistics": []}
    for layer in parts(model)[part]:
        for v in layer.variables:
            if "seed" not in v.path:
                kind = "statistics" if "moving" in v.path else "weights"
                found[kind].append(bool((before[id(v)] != after[id(v)]).any()))
    return found


def layers_of(model: keras.Model) -> set[str]:
    return {layer.name for layers in parts(model).values() for layer in layers}


FAMILIES = ["resnet", "preresnet", "densenet", "vit"]


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_frozen_stays_and_all_else_learns(family, statistics, tmp_path):
    model = small(family)
    freeze(model, "stage1", statistics=statistics)
    before, after = fit(model)
    for part in ("stem", "stage1"):
        found = changed(model, before, after, part)
        assert not any(found["weights"]), part
        assert all(found["statistics"]) if not statistics else not any(found["statistics"]), part
    for part in ("stage2", "head"):
        found = changed(model, before, after, part)
        assert found["weights"]
        assert all(found["weights"]), part
        assert all(found["statistics"]), part
    # A file keeps it, and a network from there goes on in the same way.
    model.save(tmp_path / "frozen.keras")
    loaded = keras.saving.load_model(tmp_path / "frozen.keras")
    assert [v.path for v in loaded.trainable_variables] == [v.path for v in model.trainable_variables]
    before, after = fit(loaded)
    stem = changed(loaded, before, after, "stem")
    assert not any(stem["weights"])
    assert all(stem["statistics"]) if not statistics else not any(stem["statistics"])
    assert all(changed(loaded, before, after, "head")["weights"])


def test_dense_networks_have_statistics_to_keep():
    assert any("moving" in v.path for layer in parts(small("densenet"))["stage1"] for v in layer.variables)
    assert any("moving" in v.path for layer in parts(small("resnet"))["stem"] for v in layer.variables)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_is_in_one_part(family):
    model = small(family)
    found = parts(model)
    assert list(found) == ["stem", "stage1", "stage2", "head"]
    names = [layer.name for layers in found.values() for layer in layers]
    assert sorted(names) == sorted(layer.name for layer in model.layers)
    assert [layer.name for layer in found["head"]] == ["head"]
    assert found["stage2"][-1].name == "pool"


def test_transitions_close_their_stage():
    assert [layer.name for layer in parts(small("densenet"))["stage1"]] == ["stage1", "transition1"]


def test_a_hybrids_patches_belong_to_the_stage_that_they_open():
    settings = dict(dim=16, depths=(1,), backbone_depths=(1, 1), num_heads=2, patch_size=1, position_grid=(2, 2))
    found = parts(keras_resnet.models.vit(input_shape=(32, 32, 3), classes=3, **settings))
    assert [layer.name for layer in found["stage3"]] == ["patches", "tokens", "stage3_block1", "norm", "pool"]


def test_the_last_stage_is_all_but_the_head():
    model = small("preresnet")
    freeze(model, "stage2")
    assert [v.path.split("/")[0] for v in model.trainable_variables] == ["head", "head"]


def test_each_call_starts_anew():
    model = small("resnet")
    every = len(model.trainable_variables)
    freeze(model, "stage2", statistics=False)
    freeze(model, "stem")
    assert model.get_layer("stage2_block1").trainable
    before, after = fit(model)
    assert not any(changed(model, before, after, "stem")["statistics"])
    freeze(model, None)
    assert len(model.trainable_variables) == every
    assert all(changed(model, *fit(model), "stem")["weights"])


def test_freezing_works_behind_compiling_and_training():
    model = small("resnet")
    fit(model)
    freeze(model, "stage1")
    before, after = fit(model)  # compiles again
    assert not any(changed(model, before, after, "stage1")["weights"])
    assert all(changed(model, before, after, "stage2")["weights"])


def test_wrapped_by_features():
    model = small("resnet")
    pyramid = keras.Model(model.input, keras_resnet.features(model))
    freeze(pyramid, "stage1", statistics=False)
    assert {v.path.partition("/")[0] for v in pyramid.trainable_variables} == {"stage2_block1"}
    statistics = model.get_layer("stem").non_trainable_variables
    before = [as_numpy(v).copy() for v in statistics]
    pyramid(normal(2, 32, 32, 3), training=True)
    assert any((as_numpy(v) != old).any() for v, old in zip(statistics, before))


def test_built_on_a_tensor_of_ones_own():
    image = keras.Input((32, 32, 1))
    first = keras.layers.Conv2D(3, 3, padding="same", name="colours")(image)
    body = keras_resnet.models.resnet(**{**RESNET, "input_shape": None}, block="basic", include_top=False, input_tensor=first)
    side = keras.layers.GlobalAveragePooling2D(name="side")(keras.layers.Conv2D(4, 1, name="lateral")(body.get_layer("stem").output))
    x = keras.layers.concatenate([keras.layers.GlobalAveragePooling2D()(body.output), side])
    model = keras.Model(image, keras.layers.Dense(3, "softmax", name="mine")(x))
    freeze(model, "stage2")
    assert {v.path.partition("/")[0] for v in model.trainable_variables} == {"lateral", "mine"}
    before, after = fit(model)
    assert not any(changed(model, before, after, "stem")["weights"])
    assert all((before[id(v)] != after[id(v)]).any() for v in model.trainable_variables)


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_network_as_a_layer(kind, tmp_path):
    network = small("resnet")
    layers = [keras.layers.Conv2D(3, 1, name="colours"), network, keras.layers.Dense(3, "softmax", name="mine")]
    if kind == "sequential":
        model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    else:
        x = image = keras.Input((32, 32, 3))
        for layer in layers:
            x = layer(x)
        model = keras.Model(image, x)
    freeze(model, "stage1")
    learns = {"stage2_block1", "head", "mine"}
    assert {name for v in model.trainable_variables for name in v.path.split("/") if name in layers_of(model)} == learns
    before, after = fit(model)
    for part in ("stem", "stage1"):
        assert not any(changed(model, before, after, part)["weights"] + changed(model, before, after, part)["statistics"])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_variables) == len(model.trainable_variables)


def test_deep_networks_of_equal_blocks(monkeypatch):
    """On JAX equal blocks run in a loop, where all of a run must be frozen alike."""
    monkeypatch.setattr("keras_resnet.models.functional.REPEATED", 3)
    for statistics in (True, False):
        model = keras_resnet.models.cifar_resnet(depths=(5, 5), widths=(4, 8), input_shape=(8, 8, 3), classes=3)
        freeze(model, "stage1", statistics=statistics)
        before, after = fit(model)
        found = changed(model, before, after, "stage1")
        assert not any(found["weights"])
        assert all(found["statistics"]) is not statistics
        assert any(found["statistics"]) is not statistics
        assert all(changed(model, before, after, "stage2")["weights"])


@pytest.mark.parametrize("settings", [dict(data_format="channels_first"), dict(dtype="mixed_bfloat16"), dict(remat=True)])
def test_other_formats_and_recomputation(settings):
    shape = (3, 32, 32) if "data_format" in settings else (32, 32, 3)
    model = keras_resnet.models.resnet(**{**RESNET, "input_shape": shape}, **settings)
    freeze(model, "stage1", statistics=False)
    before, after = fit(model)
    found = changed(model, before, after, "stage1")
    assert not any(found["weights"])
    assert all(found["statistics"])
    assert all(changed(model, before, after, "stage2")["weights"])


def test_a_clone_is_frozen_too():
    model = small("densenet")
    freeze(model, "stage1", statistics=False)
    clone = keras.models.clone_model(model)
    before, after = fit(clone)
    found = changed(clone, before, after, "stage1")
    assert not any(found["weights"])
    assert all(found["statistics"])


@pytest.mark.parametrize("through", ["stage3", "Stage 2", "head", "", 2])
def test_an_unknown_part_names_those_that_there_are(through):
    model = small("resnet")
    freeze(model, "stem")
    before = [v.path for v in model.trainable_variables]
    with pytest.raises(ValueError, match=r"`through` names a part of 'resnet': 'stem', 'stage1', 'stage2'. Received: ") as caught:
        freeze(model, through)
    if through == "Stage 2":
        assert "Did you mean 'stage2'?" in str(caught.value)
    assert [v.path for v in model.trainable_variables] == before


def test_other_bad_arguments():
    with pytest.raises(ValueError, match=r"has no stages: no layer is named like 'stage1_block1'"):
        freeze(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    with pytest.raises(ValueError, match=r"`model` must be a keras.Model. Received: str"):
        freeze("resnet50")
    with pytest.raises(ValueError, match="`statistics` must be True or False"):
        freeze(small("resnet"), "stem", statistics="no")
