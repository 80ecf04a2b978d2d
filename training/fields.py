"""Recipes from and to text: `--set a.b=c`, JSON, and the check of every value, with one error that says what is allowed."""

import ast
import dataclasses
import difflib
import functools
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.recipe import Augmentation, Recipe

# Numbers are 0 or more, and these above 0.
POSITIVE = {"classes", "size", "channels", "deviation", "test_size", "test_crop", "rate", "accumulate", "rand_count", "repeats"}
POSITIVE |= {"epochs", "steps", "batch", "factor", "power", "clip_norm", "keep", "checkpoint_every", "timeout"}
# Arguments of builders that are not for `network.settings`.
OF_THE_RECIPE = {"classes", "include_top", "input_shape", "input_tensor", "weights", "classifier_activation", "name", "dtype"}
BELOW_ONE = {"held_back", "smoothing", "momentum", "average", "dropout"}
AT_MOST = dict.fromkeys(("test_crop", "start", "rand_chance", "rand_translate", "rand_cutout", "erasing", "crop_area", "threshold"), 1)
AT_MOST |= {"seed": 2**32 - 1, "mixup": 10, "cutmix": 10}  # NumPy's seeds; beyond 10 a mixture is the mean of two pictures
LARGEST = 1e18  # of any number, and its inverse the least above 0
LEAST_MIX = 0.001  # below it a mixture is one of two pictures
# Fields that not every recipe looks at: those of which one says whether it does, and by which values; none listed: by any but its default.
RAND = [field.name for field in dataclasses.fields(Augmentation) if field.name.startswith("rand_") and field.name != "rand_magnitude"]
DECAYING = ("sgd", "lamb", "adamw")
READ_WITH: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(("optimizer.momentum", "optimizer.nesterov"), (("optimizer.kind",), ("sgd",))),
    **dict.fromkeys(("optimizer.weight_decay", "optimizer.decay_all"), (("optimizer.kind",), DECAYING)),
    **dict.fromkeys(("schedule.milestones", "schedule.factor"), (("schedule.kind",), ("step",))),
    "schedule.power": (("schedule.kind",), ("polynomial",)),
    **dict.fromkeys(("schedule.start", "schedule.hold"), (("schedule.warm_up",), ())),
    "loss.smoothing": (("loss.kind",), ("cross_entropy", "binary")),
    "loss.threshold": (("loss.kind",), ("binary",)),
    "augmentation.crop_ratio": (("augmentation.crop_area",), ()),
    **{f"augmentation.{name}": (("augmentation.rand_magnitude",), ()) for name in RAND},
    "augmentation.pad_mode": (("augmentation.pad",), ()),
    "augmentation.erasing_fill": (("augmentation.erasing",), ()),
    "augmentation.mix_per": (("augmentation.mixup", "augmentation.cutmix"), ()),
}
# Fields that are looked at where pictures are opened one by one, and not where they come as arrays; see `data.find.check_read`.
READ_OF_FILES = ("data.squeeze", "data.test_crop", "data.interpolation", "data.test_interpolation")
# Fields that not every task looks at.
PICTURES = ("classification", "diffusion")
READ_BY: dict[str, tuple[str, ...]] = {
    **{f"augmentation.{field.name}": PICTURES for field in dataclasses.fields(Augmentation)},
    **dict.fromkeys((f"augmentation.{name}" for name in ("mixup", "cutmix", "mix_per", "repeats")), ("classification",)),
    **dict.fromkeys(("data.squeeze", "data.interpolation"), PICTURES),
    **dict.fromkeys((f"data.test_{name}" for name in ("size", "crop", "interpolation")), ("classification",)),
}


def checked(recipe: Recipe) -> Recipe:
    """The recipe itself, if all its values are of the right type and in range.

    Raises:
        ValueError: at the first that is not, with its name and what is allowed.
    """
    check_values(recipe, "")
    if not re.fullmatch(r"\w[\w.-]{0,99}", recipe.name):  # of which names of folders and of models are made
        raise ValueError(f"`name` must be of letters, digits, '_', '.' and '-', at most 100. Received: {recipe.name!r}.")
    channels = recipe.data.channels
    for name in ("mean", "deviation"):
        if len(getattr(recipe.data, name)) != channels:
            raise ValueError(f"`data.{name}` needs a number for each of {channels} channels. Received: {getattr(recipe.data, name)!r}.")
    area, ratio = recipe.augmentation.crop_area, recipe.augmentation.crop_ratio
    if len(area) not in (0, 2) or list(area) != sorted(area):
        raise ValueError(f"`augmentation.crop_area` is empty or two shares, the least first. Received: {area!r}.")
    if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
        raise ValueError(f"`augmentation.crop_ratio` is two numbers above 0, the least first. Received: {ratio!r}.")
    taken = OF_THE_RECIPE & (set(recipe.network.settings) | set(recipe.network.quick))
    if taken:
        raise ValueError(
            f"`network.settings` has what other fields of the recipe say: {', '.join(sorted(taken))}. Set data.classes and so on."
        )
    most = recipe.data.size - (recipe.augmentation.pad_mode == "reflect")
    if recipe.augmentation.pad > most:
        raise ValueError(
            f"`augmentation.pad` is at most {most} for pictures of {recipe.data.size} pixels. Received: {recipe.augmentation.pad}."
        )
    if recipe.augmentation.trivial and recipe.augmentation.rand_magnitude is not None:
        raise ValueError("`augmentation.trivial` is in place of RandAugment. Set augmentation.rand_magnitude=none, or trivial=false.")
    if recipe.schedule.hold and recipe.schedule.warm_up and not recipe.schedule.start:
        raise ValueError("`schedule.hold` holds the rate at the share `schedule.start` of it, which is 0. Set schedule.start=0.1.")
    if recipe.data.classes < 2 and recipe.task != "diffusion":
        raise ValueError(f"`data.classes` is 2 or more. Received: {recipe.data.classes}.")
    for name in ("mixup", "cutmix"):
        if 0 < getattr(recipe.augmentation, name) < LEAST_MIX:
            raise ValueError(
                f"`augmentation.{name}` is 0 for none, or {LEAST_MIX} or more. Received: {getattr(recipe.augmentation, name)!r}."
            )
    if recipe.schedule.warm_up >= recipe.epochs:
        raise ValueError(f"`schedule.warm_up` is shorter than {recipe.epochs} epochs. Received: {recipe.schedule.warm_up}.")
    return recipe


def changed(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with `settings` such as `"epochs=10"` and `"optimizer.rate=0.05"`, in order.

    Raises:
        ValueError: at a field that there is not, with the nearest names, at a value of another type, and at one that would change nothing.
    """
    before, paths = recipe, []
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign or not path:
            raise ValueError(f"--set takes FIELD=VALUE, such as epochs=10 or optimizer.rate=0.05. Received: {setting!r}.")
        recipe = _set(recipe, path.strip().split("."), text.strip(), path.strip())
        paths.append(path.strip())
    checked(recipe)
    for path in paths:
        _check_read(recipe, before, path)
    return recipe


def to_json(recipe: Recipe) -> str:
    """As text that `from_json` reads."""
    return json.dumps(dataclasses.asdict(recipe), indent=1)


def from_json(text: str) -> Recipe:
    """What `to_json` wrote.

    Raises:
        ValueError: if it is no recipe.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"This is no recipe in JSON ({error}).") from error
    if not isinstance(values, dict):
        raise ValueError(f"A recipe in JSON is an object. Received: {type(values).__name__}.")
    return checked(_made(Recipe, values, ""))


def nearest(name: str, names: Iterable[str]) -> str:
    """A sentence with the closest names, or all if none is close."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or difflib.get_close_matches(name.split("_")[-1], names, 3, 0.3)
    return f"Closest: {', '.join(close)}." if close else f"There are: {', '.join(names)}."


def _made(kind: Any, values: Mapping[str, Any], path: str) -> Any:
    hints = typing.get_type_hints(kind)
    found = {}
    for name, value in values.items():
        if name not in hints:
            raise _unknown(path + name, name, hints)
        inner = dataclasses.is_dataclass(hints[name]) and isinstance(value, dict)
        found[name] = _made(hints[name], value, f"{path}{name}.") if inner else _tuples(value)
    needed = [field.name for field in dataclasses.fields(kind) if field.default is field.default_factory is dataclasses.MISSING]
    missing = [name for name in needed if name not in found]
    if missing:
        raise ValueError(f"The recipe lacks `{path}{missing[0]}`.")
    return kind(**found)


def _set(part: Any, names: Sequence[str], text: str, path: str) -> Any:
    hints = typing.get_type_hints(type(part))
    name, *rest = names
    if name not in hints:
        raise _unknown(path, name, hints)
    old = getattr(part, name)
    if dataclasses.is_dataclass(old) and not isinstance(old, type):
        if not rest:
            raise ValueError(f"`{path}` has fields: {', '.join(typing.get_type_hints(type(old)))}. Set one, such as {path}.NAME=VALUE.")
        new: Any = _set(old, rest, text, path)
    elif isinstance(old, dict) and len(rest) == 1:
        new = {**old, rest[0]: _value(text)}
    elif rest:
        raise ValueError(f"`{name}` has no fields. Received: {path}.")
    else:
        new = text if hints[name] is str else _value(text)
        if _is_tuple(hints[name]) and not isinstance(new, tuple):
            new = (new,)
    return dataclasses.replace(part, **{name: new})


def _check_read(recipe: Recipe, before: Recipe, path: str) -> None:
    """Raises a `ValueError` if nobody would look at a field that has changed."""
    if path not in {**READ_WITH, **READ_BY} or _get(recipe, path) == _get(before, path):
        return
    tasks = READ_BY.get(path, (recipe.task,))
    if recipe.task not in tasks:
        raise ValueError(f"`{path}` counts in {' and '.join(tasks)} alone, and {recipe.name!r} is {recipe.task}. Leave it out.")
    if path not in READ_WITH:
        return
    others, values = READ_WITH[path]
    found = {other: _get(recipe, other) for other in others}
    if not any(value in values if values else value != _get(Recipe(recipe.name), other) for other, value in found.items()):
        allowed = " or ".join(map(repr, values)) or "set"
        where, received = (
            " or ".join(f"`{other}`" for other in others),
            " and ".join(f"{other}={value!r}" for other, value in found.items()),
        )
        raise ValueError(f"`{path}` counts where {where} is {allowed}. Received: {path}={_get(recipe, path)!r} with {received}.")


def _get(recipe: Recipe, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), recipe)


def _unknown(path: str, name: str, names: Iterable[str]) -> ValueError:
    return ValueError(f"A recipe has no field {path!r}. {nearest(name, names)}")


def _value(text: str) -> Any:
    plain = {"none": None, "true": True, "false": False, "": ()}
    if text.lower() in plain:
        return plain[text.lower()]
    try:
        return _tuples(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _tuples(value: Any) -> Any:
    """Lists are tuples, all the way down: so JSON gives what was written."""
    if isinstance(value, dict):
        return {name: _tuples(one) for name, one in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def check_values(part: Any, path: str) -> None:
    """Checks types and ranges of all fields of a dataclass, and of those in it.

    Raises:
        ValueError: at the first that is wrong, with its name behind `path`.
    """
    for name, hint in typing.get_type_hints(type(part)).items():
        value = getattr(part, name)
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, hint):  # type: ignore[arg-type]
                raise ValueError(f"`{path}{name}` is an object of fields. Received: {value!r}.")
            check_values(value, f"{path}{name}.")
            continue
        if not _fits(value, hint):
            raise ValueError(f"`{path}{name}` must be {_said(hint)}. Received: {value!r}.{_hint(value, hint)}")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                _check_range(path + name, name, number)


def _check_range(path: str, name: str, number: float) -> None:
    least = number > 0 if name in POSITIVE else number >= 0
    most = (name not in BELOW_ONE or number < 1) and number <= AT_MOST.get(name, LARGEST)
    # Squares have to be numbers in float32. Any comparison with what is no number is false.
    if not (least and most and (number == 0 or 1 / LARGEST <= number <= LARGEST)):
        above = f"above {1 / LARGEST:g}" if 0 < number < 1 / LARGEST else "above 0" if name in POSITIVE else "0 or more"
        limit = f" and at most {AT_MOST.get(name, LARGEST)}" if name in AT_MOST or number > LARGEST else ""
        top = " and below 1" if name in BELOW_ONE else limit
        raise ValueError(f"`{path}` must be {above}{top}. Received: {number!r}.")


def _is_tuple(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in typing.get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, typing.get_args(hint)[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(isinstance(name, str) for name in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _said(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return f"one of {', '.join(map(repr, args))}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_said, args))
    if origin is tuple:
        return "numbers, such as 82,123"
    if origin is dict:
        return "values by name"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "none"}[hint]


def _hint(value: Any, hint: Any) -> str:
    close = difflib.get_close_matches(str(value), list(map(str, typing.get_args(hint))), n=1)
    return f" Did you mean {close[0]!r}?" if close and typing.get_origin(hint) is typing.Literal else ""
