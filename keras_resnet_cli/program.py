"""The commands and their help; what they do is in the other files, each imported by the command that needs it."""

import contextlib
import enum
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

app = typer.Typer(
    name="keras-resnet",
    help="Residual, dense, pre-activation and transformer networks and U-Nets for Keras 3, and their published weights.",
    epilog="The framework is Keras's: KERAS_BACKEND=torch keras-resnet predict photo.jpg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Layout(enum.StrEnum):
    """Whose file `convert` writes."""

    timm = "timm"
    torchvision = "torchvision"
    keras = "keras"


@contextlib.contextmanager
def _mistakes() -> Iterator[None]:
    """What a person can mend is told on the standard error, without a traceback, and ends with 1."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ImportError) as error:
        print(f"keras-resnet: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command("list")
def list_command(
    pattern: Annotated[str, typer.Argument(help="A shell pattern of names, in quotes; with a dot it means weights.")] = "*",
    task: Annotated[str, typer.Option(help="classification, segmentation or diffusion; without it all.", show_default=False)] = "",
    pretrained: Annotated[bool, typer.Option("--pretrained", help="The published weights instead of the networks.")] = False,
    plain: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Lists networks or published weights.

    \b
    keras-resnet list                            all networks
    keras-resnet list "resnext*"                 those whose names begin so
    keras-resnet list --task segmentation        those that give classes for each pixel
    keras-resnet list "resnet50" --pretrained    all weights of ResNet-50
    keras-resnet list "*.a1_in1k" --json         these weights of all networks, for a program
    """
    from keras_resnet_cli import listing

    with _mistakes():
        listing.list_networks(pattern, task, pretrained, plain)


@app.command("info")
def info_command(
    name: Annotated[str, typer.Argument(help="A network, or network and tag of its weights.")],
) -> None:
    """Says all that is known of a network or of its weights: licence, accuracy, size, and how to use it.

    \b
    keras-resnet info resnet50
    keras-resnet info unet3plus
    keras-resnet info resnet50.a1_in1k
    """
    from keras_resnet_cli import listing

    with _mistakes():
        listing.tell(name)


@app.command("predict")
def predict_command(
    picture: Annotated[list[str], typer.Argument(help="Files of pictures.", metavar="PICTURE...")],
    model: Annotated[str, typer.Option(help="A network, network and tag, a .keras file, or hf://organization/repository.")] = "resnet50",
    weights: Annotated[str, typer.Option(help="A tag or a file; without it the network's default.", show_default=False)] = "",
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = 5,
    plain: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Says what is in pictures.

    A picture that cannot be read gets one line on the standard error, and the others are predicted.

    \b
    keras-resnet predict photo.jpg
    keras-resnet predict *.jpg --model densenet121 --top 1
    keras-resnet predict photo.jpg --model resnet50.a1_in1k --json
    keras-resnet predict photo.jpg --model resnet50 --weights model.safetensors
    keras-resnet predict photo.jpg --model my.keras
    """
    from keras_resnet_cli import predicting

    with _mistakes():
        good = predicting.predict(picture, model, weights, top, plain)
    raise typer.Exit(0 if good else 1)


@app.command("convert")
def convert_command(
    source: Annotated[str, typer.Argument(help="The file to read.")],
    target: Annotated[str, typer.Argument(help="The file to write.")],
    to: Annotated[Layout | None, typer.Option(help="Whose file to write; without it, one of ours.")] = None,
    model: Annotated[str, typer.Option(help="The network; a .keras file says it itself.", show_default=False)] = "",
    classes: Annotated[int, typer.Option(min=0, help="Outputs, where they are not the network's own.", show_default=False)] = 0,
    no_top: Annotated[bool, typer.Option("--no-top", help="Without the head, for files that have none.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Writes the same numbers into the file of another library, or into one of ours.

    All numbers of the file are used and all of the network are set, or nothing is written; --no-top leaves those of a head behind.

    \b
    keras-resnet convert my.keras out.safetensors --to timm
    keras-resnet convert my.keras out.pth --to torchvision
    keras-resnet convert model.safetensors my.keras --model resnet50
    keras-resnet convert resnet50.pth out.h5 --to keras --model resnet50v1
    keras-resnet convert flowers.pth flowers.keras --model resnet50 --classes 37
    keras-resnet convert resnet50_notop.h5 features.keras --model resnet50v1 --no-top
    """
    from keras_resnet_cli import converting

    with _mistakes():
        converting.convert(source, target, to.value if to else "", model, classes, no_top, force)


def main() -> None:
    """What the command `keras-resnet` runs."""
    app(prog_name="keras-resnet")
