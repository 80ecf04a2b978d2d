"""Recipes as text and from text, and what is said of wrong ones."""

import dataclasses
import pathlib
import re
import subprocess
import sys

import pytest

from keras_resnet import list_models
from training import fields, recipes
from training.recipe import Augmentation, Data, Recipe
from training.recipes import bit_hyperrule

README = pathlib.Path(__file__).parents[2] / "README.md"
SAID = {
    "epoch=3": "no field 'epoch'. Closest: epochs",
    "optimizer.momentun=0.9": "no field 'optimizer.momentun'. Closest: momentum",
    "optimizer=sgd": "`optimizer` has fields: kind, rate",
    "epochs.more=1": "`epochs` has no fields",
    "epochs": "--set takes FIELD=VALUE",
    "epochs=ten": "`epochs` must be a whole number. Received: 'ten'",
    "epochs=2.5": "`epochs` must be a whole number. Received: 2.5",
    "epochs=true": "`epochs` must be a whole number. Received: True",
    "epochs=0": "`epochs` must be above 0. Received: 0",
    "batch=-8": "`batch` must be above 0",
    "optimizer.rate=none": "`optimizer.rate` must be a number. Received: None",
    "optimizer.momentum=1": "`optimizer.momentum` must be 0 or more and below 1",
    "optimizer.nesterov=1": "`optimizer.nesterov` must be true or false",
    "optimizer.kind=sdg": "Received: 'sdg'. Did you mean 'sgd'?",
    "precision=half": "`precision` must be one of 'float32', 'bfloat16', 'float16'",
    "schedule.milestones=soon": "`schedule.milestones` must be numbers, such as 82,123",
    "schedule.warm_up=164": "`schedule.warm_up` is shorter than 164 epochs",
    "augmentation.crop_area=0.1": "`augmentation.crop_area` is empty or two shares",
    "augmentation.crop_area=0.1,1.5": "`augmentation.crop_area` must be 0 or more and at most 1",
    "data.channels=3": "`data.mean` needs a number for each of 3 channels",
    "data.classes=1": "`data.classes` is 2 or more",
    "seed=4294967296": "`seed` must be 0 or more and at most 4294967295. Received: 4294967296",
    "augmentation.mixup=1e30": "`augmentation.mixup` must be 0 or more and at most 10",
    "augmentation.cutmix=1e-9": "`augmentation.cutmix` is 0 for none, or 0.001 or more",
    "loss.threshold=0.2": "`loss.threshold` counts where `loss.kind` is 'binary'",
    "augmentation.rand_count=3": "`augmentation.rand_count` counts where `augmentation.rand_magnitude` is set",
    "optimizer.clip_norm=1e999": "`optimizer.clip_norm` must be above 0 and at most 1e+18. Received: inf",
    "data.deviation=1e30": "`data.deviation` must be above 0 and at most 1e+18. Received: 1e+30",
    "augmentation.crop_ratio=1e-300,1": "`augmentation.crop_ratio` must be above 1e-18. Received: 1e-300",
    "augmentation.mix_per=image": "`augmentation.mix_per` counts where `augmentation.mixup` or `augmentation.cutmix` is set. Received: "
    "augmentation.mix_per='image' with augmentation.mixup=0.0 and augmentation.cutmix=0.0.",
    "augmentation.rand_cutout=0.2": "`augmentation.rand_cutout` counts where `augmentation.rand_magnitude` is set",
    "augmentation.rand_translate=1.5": "`augmentation.rand_translate` must be 0 or more and at most 1",
    "data.interpolation=cubic": "`data.interpolation` must be one of 'bilinear', 'bicubic', 'random'. Received: 'cubic'. Did you mean",
    "data.test_interpolation=random": "`data.test_interpolation` must be one of 'bilinear', 'bicubic'. Received: 'random'",
}


@pytest.mark.parametrize("setting", SAID)
def test_wrong_settings(setting):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fields.changed(recipes.recipe("fashion_resnet20"), [setting])
    assert SAID[setting] in str(caught.value)


def test_what_would_change_nothing():
    recipe = recipes.recipe("imagenet_resnet50_a2")
    with pytest.raises(ValueError, match=r"`optimizer.nesterov` counts where `optimizer.kind` is 'sgd'. Received: .*='lamb'"):
        fields.changed(recipe, ["optimizer.nesterov=true"])
    assert fields.changed(recipe, ["optimizer.nesterov=false"]) == recipe
    assert fields.changed(recipe, ["optimizer.nesterov=true", "optimizer.kind=sgd"]).optimizer.nesterov
    assert fields.changed(recipe, ["augmentation.rand_magnitude=0", "augmentation.rand_count=3"]).augmentation.rand_count == 3
    for mixing in ("mixup", "cutmix"):
        assert fields.changed(recipes.recipe("fashion_resnet20"), [f"augmentation.{mixing}=1", "augmentation.mix_per=image"])
    for name, path in (
        ("segmentation_nnunet2d", "augmentation.flip=false"),
        ("diffusion_ddpm_cifar10", "augmentation.repeats=2"),
        ("diffusion_ddpm_cifar10", "data.test_interpolation=bicubic"),
        ("segmentation_nnunet2d", "data.interpolation=bicubic"),
    ):
        with pytest.raises(ValueError, match=r"`\w+\.\w+` counts in classification.* alone, and .* is (segmentation|diffusion)"):
            fields.changed(recipes.recipe(name), [path])
    assert fields.changed(recipes.recipe("diffusion_ddpm_cifar10"), ["augmentation.flip=false"]).augmentation.flip is False


def test_settings():
    found = fields.changed(
        recipes.recipe("fashion_resnet20"),
        [
            "epochs=10",
            "optimizer.rate=1",
            "optimizer.average=0.99",
            "schedule.milestones=5",
            "augmentation.crop_area=0.5,1",
            "optimizer.nesterov=true",
            "network.settings.depths=[2, 2, 2]",
            "network.settings.block=basic",
            "published=1.5",
        ],
    )
    assert (found.epochs, found.optimizer.rate, found.optimizer.average, found.optimizer.nesterov) == (10, 1, 0.99, True)
    assert (found.schedule.kind, found.schedule.milestones) == ("step", (5,))
    assert found.augmentation == Augmentation(pad=4, crop_area=(0.5, 1))
    assert found.network.settings == {"depths": (2, 2, 2), "block": "basic"}
    assert found.published == "1.5"  # text stays text
    assert recipes.recipe("fashion_resnet20").epochs == 164


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipes(name):
    recipe = recipes.recipe(name)
    assert recipe.name == name
    assert recipe.network.name in list_models() or recipe.network.name in list_models(task="segmentation") + list_models(task="diffusion")
    assert fields.from_json(fields.to_json(recipe)) == recipe
    small = fields.checked(recipes.quick(recipe))
    assert small.epochs * small.steps * small.batch <= 48
    assert small.data.size <= 32
    assert small.published == ""  # what was published is of other data and another network


def test_what_the_readme_says_of_them():
    said = re.search(r"one of (\d+) recipes, (\d+) of them with a published result", README.read_text(encoding="utf-8"))
    assert [int(number) for number in said.groups()] == [len(recipes.RECIPES), sum(bool(one.published) for one in recipes.RECIPES.values())]


@pytest.mark.parametrize(
    ("name", "kinds", "first"),
    [
        ("resnet50_a1", ("random", "bicubic"), 1e-4),
        ("resnet50_a2", ("random", "bicubic"), 1e-4),
        ("resnet50_a3", ("random", "bicubic"), 1e-4),
        ("resnet50_torchvision", ("bilinear", "bilinear"), 5e-3),
        ("resnetrs50", ("bicubic", "bicubic"), 0),
    ],
)
def test_how_pictures_get_their_size_and_the_rate_its_height(name, kinds, first):
    """As timm, torchvision and tensorflow/tpu did it."""
    found = recipes.recipe(f"imagenet_{name}")
    assert (found.data.interpolation, found.data.test_interpolation) == kinds
    assert found.schedule.start * found.optimizer.rate == pytest.approx(first)


@pytest.mark.parametrize(
    ("examples", "steps", "rise", "falls"),
    [(3_680, 500, 100, [200, 300, 400]), (50_000, 10_000, 500, [3000, 6000, 9000]), (500_000, 20_000, 500, [6000, 12_000, 18_000])],
)
def test_schedules_of_big_transfer(examples, steps, rise, falls):
    """Those of `bit_hyperrule.py` in its repository."""
    found = bit_hyperrule.hyperrule("mine", Data(), examples, side=32)
    assert found.epochs * found.steps == steps
    assert found.schedule.warm_up * found.steps == pytest.approx(rise)
    assert [one * found.steps for one in found.schedule.milestones] == falls
    assert found.augmentation.mixup == (0.1 if examples >= 20_000 else 0.0)


def test_what_a_file_may_not_be():
    text = fields.to_json(recipes.recipe("fashion_resnet20"))
    for other, said in {
        "[]": "is an object",
        "{": "no recipe in JSON",
        "{}": "lacks `name`",
        text.replace('"rate"', '"rates"'): "'optimizer.rates'. Closest: rate",
        text.replace('"batch": 128', '"batch": "128"'): "`batch` must be a whole number",
        '{"name": "a", "data": 3}': "`data` is an object",
    }.items():
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            fields.from_json(other)
        assert said in str(caught.value)


def test_no_such_recipe():
    with pytest.raises(ValueError, match=r"no recipe 'fashion_resnet21'. Closest: fashion_resnet20"):
        recipes.recipe("fashion_resnet21")


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe("mine", data=Data()).epochs = 3


def test_recipes_need_no_framework():
    code = "import sys, training.recipes, training.__main__; assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
