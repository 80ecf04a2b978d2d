"""`keras-resnet list` and `keras-resnet info`: tables of networks and of published weights, and the same as JSON."""

import dataclasses
import difflib
import fnmatch
import json
import os
import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keras_resnet_cli import facts

WIDE = 240  # columns where the output is no terminal: a line of a table stays a line in a file and for grep
# What takes an encoder, and so is no line of the table of networks.
DECODERS = ("UNet", "UNetPlusPlus", "FPN", "DeepLabV3Plus")


def console() -> Console:
    """Where tables go: the terminal, or a file or pipe as plain text."""
    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else WIDE
    return Console(width=wide, highlight=False)


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table. Names in the first column and numbers, on the right, stay whole in a narrow window; other columns are folded."""
    found = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for i, column in enumerate(columns):
        found.add_column(column, justify="right" if column in right else "left", no_wrap=i == 0 or column in right, overflow="fold")
    return found


def as_json(value: Any) -> None:
    """Writes plain data to the standard output."""
    print(json.dumps(value, indent=2))


def list_networks(pattern: str, task: str, pretrained: bool, plain: bool) -> None:
    """Networks, or with `pretrained` the published weights, whose name fits a shell pattern; a pattern with a dot means weights.

    `task` leaves those of other tasks out, where it is not "".
    """
    if task and task not in facts.tasks():
        close = difflib.get_close_matches(task.lower(), facts.tasks(), n=1, cutoff=0.5)
        hint = f" Closest: {close[0]}." if close else ""
        raise ValueError(f"There is no task named {task!r}.{hint} Tasks are {', '.join(facts.tasks())}.")
    networks = {name: network for name, network in facts.networks().items() if task in ("", network.task)}
    of_task = f" for {task}" if task else ""
    if pretrained or "." in pattern:
        known = {name: row for name, row in facts.catalogue().CATALOGUE.items() if row.model in networks}
        rows = [row for row in known.values() if fnmatch.fnmatchcase(row.name if "." in pattern else row.model, pattern)]
        if not rows:
            closest = _closest(pattern, [*known, *{row.model for row in known.values()}])
            raise ValueError(f"No published weights{of_task} fit {pattern!r}.{closest}")
        if plain:
            return as_json([checkpoint_facts(row) for row in rows])
        found = checkpoints_table(rows, full_names=True)
        count = f"{len(rows)} of {len(facts.catalogue().CATALOGUE)} sets of weights. * marks what weights='imagenet' means."
    else:
        fitting = [network for name, network in networks.items() if fnmatch.fnmatchcase(name, pattern)]
        if not fitting:
            raise ValueError(f"No network{of_task} fits {pattern!r}.{_closest(pattern, networks)}")
        if plain:
            return as_json([network_facts(network) for network in fitting])
        found = networks_table(fitting)
        count = f"{len(fitting)} of {len(facts.networks())} networks."
    console().print(found)
    console().print(count)


def tell(name: str) -> None:
    """All that is known of a network, or of a set of weights."""
    catalogue = facts.catalogue().CATALOGUE
    if name in catalogue:
        return _tell_checkpoint(catalogue[name])
    if name in facts.networks():
        return _tell_network(facts.networks()[name])
    model, dot, tag = name.partition(".")
    if dot and model in facts.networks():
        facts.catalogue().find(model, tag)  # knows the network's tags, and says them
    raise ValueError(f"There is no network and no set of weights named {name!r}.{_closest(name, [*facts.networks(), *catalogue])}")


def networks_table(networks: list) -> Table:
    """One line a network; columns of weights where one of them has some."""
    tags = {network.name: _tags(network.name) for network in networks}
    of_weights = ("weights", "imagenet") if any(tags.values()) else ()
    numbers = ("depth", "parameters", "GMACs", "image")
    found = table("name", *numbers, *of_weights, "paper", right=numbers + of_weights[:1])
    for network in networks:
        count = str(len(tags[network.name]) or "")
        found.add_row(
            network.name,
            str(network.depth),
            f"{network.params:,}",
            f"{network.gmacs:.3f}",
            "x".join(map(str, network.shape[:-1])),
            *((count, facts.catalogue().DEFAULTS.get(network.name, "")) if of_weights else ()),
            f"arXiv:{network.paper}",
        )
    return found


def checkpoints_table(rows: list, full_names: bool) -> Table:
    """One line a set of weights."""
    columns = ("weights", "source", "size", "top-1", "classes", "licence")
    found = table(columns[0], "", *columns[1:], right=("size", "top-1", "classes"))
    for row in rows:
        found.add_row(
            row.name if full_names else row.tag,
            "*" if facts.catalogue().DEFAULTS.get(row.model) == row.tag else "",
            row.source,
            _sizes(row),
            "" if row.top1 is None else f"{row.top1:.2f}",
            f"{row.classes:,}" if row.classes else "no head",
            licence(row),
        )
    return found


def licence(row: Any) -> str:
    """The licence of a set of weights; what forbids commercial use says so."""
    return f"[bold red]{row.licence}, not commercial[/]" if row.noncommercial else row.licence


def network_facts(network: facts.Network) -> dict[str, Any]:
    """A network as plain data."""
    weights = {"weights": _tags(network.name), "imagenet": facts.catalogue().DEFAULTS.get(network.name)}
    return {**dataclasses.asdict(network), **weights}


def checkpoint_facts(row: Any) -> dict[str, Any]:
    """A set of weights as plain data."""
    default = facts.catalogue().DEFAULTS.get(row.model) == row.tag
    return {"name": row.name, **dataclasses.asdict(row), "noncommercial": row.noncommercial, "imagenet": default}


def _tell_network(network: facts.Network) -> None:
    rows = [row for row in facts.catalogue().CATALOGUE.values() if row.model == network.name]
    shape = " x ".join(map(str, network.shape))
    lines = [
        ("task", network.task),
        ("depth", f"{network.depth} convolutions and dense layers one after the other"),
        ("parameters", f"{network.params:,}"),
        ("multiply-adds", f"{network.gmacs:.3f} G for {'an image' if len(network.shape) == 3 else 'a volume'} of {shape}"),
        ("paper", f"https://arxiv.org/abs/{network.paper}"),
        ("constructor", f"keras_resnet.{network.constructor}"),
        ("builder", f"keras_resnet.models.{network.builder}"),
    ]
    _print_facts(network.name, lines)
    if not rows:
        console().print("No weights are published.")
        return
    console().print(checkpoints_table(rows, full_names=False))
    console().print(f"* is what weights='imagenet' means. More of one: keras-resnet info {rows[0].name}")


def _tell_checkpoint(row: Any) -> None:
    network = facts.networks()[row.model]
    default = facts.catalogue().DEFAULTS.get(row.model) == row.tag
    where = f"https://huggingface.co/{row.location}" if row.source == "timm" else row.location
    crop = f"{row.crop:g} {row.crop_mode}, {row.interpolation}"
    if _sizes(row) != str(row.input_size):
        crop = f"{row.crop:g}, at the larger size {row.test_crop:g}; {row.crop_mode}, {row.interpolation}"
    top1 = "not published" if row.top1 is None else f"{row.top1:g} % at {row.test_input_size} pixels ({row.top1_source})"
    lines = [
        ("network", f"{row.model}, {network.params:,} parameters"),
        ("default", "yes, weights='imagenet' means these" if default else "no"),
        ("licence", licence(row)),
        ("source", f"{row.source}, {where}"),
        ("file", row.file + (f", without head {row.headless_file}" if row.headless_file else "")),
        ("digest", (row.digest or ("the hub's own" if row.source == "timm" else "none is public"))),
        ("classes", f"{row.classes:,}" if row.classes else "no head"),
        ("top-1", top1),
        ("size", f"{_sizes(row)} pixels"),
        ("crop", crop),
        ("pixels", f"mode {row.mode}, mean {row.mean}, divided by {row.std}"),
        ("use", f'keras_resnet.create_model("{row.name}")'),
    ]
    _print_facts(row.name, lines)


def _print_facts(title: str, lines: list[tuple[str, str]]) -> None:
    found = Table.grid(padding=(0, 2))
    found.add_column(no_wrap=True, style="cyan")
    found.add_column(overflow="fold")
    for name, value in lines:
        found.add_row(name, value if value.startswith("[bold") else escape(value))
    console().print(f"[bold]{title}[/]")
    console().print(found)


def _sizes(row: Any) -> str:
    larger = row.test_input_size != row.input_size
    return f"{row.input_size} / {row.test_input_size}" if larger else str(row.input_size)


def _tags(model: str) -> list[str]:
    return [row.tag for row in facts.catalogue().CATALOGUE.values() if row.model == model]


def _closest(name: str, names: Any) -> str:
    decoder = next((one for one in DECODERS if one.lower() == name.lower().replace("_", "")), None)
    if decoder:
        return f' {decoder} takes an encoder, one of `keras-resnet list --task classification`: keras_resnet.{decoder}("resnet34").'
    close = difflib.get_close_matches(name.strip("*?").lower(), list(names), n=3, cutoff=0.5)
    return f" Closest: {', '.join(close)}." if close else " `keras-resnet list` lists all networks."
