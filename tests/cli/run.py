"""Runs the command line, in this process or in a fresh one."""

import pathlib
import resource
import subprocess
import sys

from typer.testing import CliRunner

from keras_resnet_cli.program import app

ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `keras-resnet` with these arguments."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def run_fresh(program: str) -> tuple[str, float]:
    """What a Python program prints in a process of its own, and the seconds of processor time that it takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
