"""`keras-resnet convert`: the same numbers in the file of another library."""

import os
import pathlib
import tempfile

from keras_resnet_cli import facts, listing

LAYOUTS = {"timm": (".safetensors", ".pth"), "torchvision": (".pth", ".safetensors"), "keras": (".h5",)}
OWN = (".keras", ".weights.h5")


def convert(source: str, target: str, layout: str, model_name: str, classes: int, no_top: bool, force: bool) -> None:
    """Writes `target` from `source`, or raises and leaves what was there."""
    check(source, target, layout, model_name, force)
    check_head(model_name, classes, no_top)
    import keras_resnet
    from keras_resnet_cli import predicting

    if model_name:
        head = {"include_top": False} if no_top else {"classes": classes} if classes else {}
        model = keras_resnet.create_model(model_name, weights=None, **head)
        try:
            keras_resnet.load_weights(model, source)
        except ValueError as error:
            raise ValueError(f"{error}{_hint(model_name, source, head)}") from error
    else:
        model = predicting.open_model(source)
    place = pathlib.Path(target).expanduser()
    if layout:
        keras_resnet.save_weights(model, place, layout=layout)
        return
    suffix = next(suffix for suffix in OWN if place.name.lower().endswith(suffix))
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as folder:
        whole = os.path.join(folder, f"model{suffix}")
        if suffix == ".keras":
            model.save(whole)
        else:
            model.save_weights(whole)
        os.replace(whole, place)


def _hint(model_name: str, source: str, head: dict) -> str:
    """Which option would have made the file fit; "" where its head is not all that is wrong."""
    import keras_resnet

    if "include_top" in head or facts.networks()[model_name].task != "classification":
        return ""
    headless = keras_resnet.create_model(model_name, weights=None, include_top=False)
    try:
        keras_resnet.load_weights(headless, source)
    except ValueError:
        return ""
    return "\nAll but the head fits: for a file of N classes say --classes N, for one without a head --no-top."


def check_head(model_name: str, classes: int, no_top: bool) -> None:
    """Raises at options of a head that do not go together."""
    if classes and no_top:
        raise ValueError(f"A network without a head has no classes: give --no-top, or --classes {classes}.")
    if (classes or no_top) and not model_name:
        raise ValueError(f"{'--no-top' if no_top else '--classes'} goes with --model; a .keras file has its own head.")
    if no_top and facts.networks()[model_name].task != "classification":
        raise ValueError(f"{model_name} is a network for {facts.networks()[model_name].task}: it has no form without its head.")


def check(source: str, target: str, layout: str, model_name: str, force: bool) -> None:
    """Raises at what cannot be converted, before anything is started."""
    here, there = pathlib.Path(source).expanduser(), pathlib.Path(target).expanduser()
    if not here.is_file():
        raise FileNotFoundError(f"There is no file to convert at {source!r} (working directory {os.getcwd()}).")
    suffixes = LAYOUTS[layout] if layout else OWN
    if not there.name.lower().endswith(suffixes) or (layout and there.name.lower().endswith(".weights.h5")):
        other = "" if layout else " For a file of another library, say which: --to timm, torchvision or keras."
        whose = f"A file for {layout}" if layout else "A file of ours"
        raise ValueError(f"{whose} ends in {' or '.join(suffixes)}. Received: {target!r}.{other}")
    if not there.parent.is_dir():
        raise ValueError(f"There is no folder {str(there.parent)!r} to write {there.name!r} into.")
    if there.is_dir():
        raise ValueError(f"{target!r} is a folder.")
    if there.exists() and here.samefile(there):
        raise ValueError(f"{target!r} is the file to convert. Give the new one another name.")
    if there.exists() and not force:
        raise ValueError(f"{target!r} exists already. Give another name, or --force.")
    network, dot, _ = model_name.partition(".")
    if network and network not in facts.networks():
        listing.tell(network)  # raises, with the closest names
    if dot:
        raise ValueError(f"--model names the network alone, without weights: {network}. Received: {model_name!r}.")
    if not model_name and here.suffix != ".keras":
        raise ValueError(f"Of which network are the numbers in {source!r}? Say --model, such as --model resnet50.")
