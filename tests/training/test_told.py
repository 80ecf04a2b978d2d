"""How both programs end where something ends them: one line, and a code."""

import signal

import pytest

import training.__main__
import training.studies.__main__
from training import interrupted
from training.studies import degradation
from training.told import exit_code


def stopped_with_a_note() -> interrupted.Stopped:
    stopped = interrupted.Stopped("Stopped.")
    stopped.add_note("Go on with: resume")
    return stopped


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Ctrl-C.\n"),
        (MemoryError("8 GiB"), 1, "error: There is not enough memory (8 GiB). Take smaller pictures, batches or networks.\n"),
        (stopped_with_a_note(), 143, "Stopped. Go on with: resume\n"),
        (FloatingPointError("The loss is nan."), 1, "error: The loss is nan.\n"),
        (interrupted.Lost("Process 1 is no more."), 1, "error: Process 1 is no more.\n"),
        (FileNotFoundError("no such file"), 1, "error: no such file\n"),
        (KeyError("name"), None, ""),
    ],
)
def test_exit_codes(error, code, said, capsys):
    assert exit_code(error, "Ctrl-C.") == code
    assert capsys.readouterr().err == said


PROGRAMS = {
    "recipe": (training.__main__, "_run", training.__main__.main, ["fashion_resnet20", "--quick"]),
    "study": (degradation, "study", training.studies.__main__.main, ["degradation", "--quick"]),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FloatingPointError("The loss is nan."), 1, "error: The loss is nan.\n"),
        (MemoryError("8 GiB"), 1, "error: There is not enough memory (8 GiB)."),
        (None, 130, "Stopped"),  # Ctrl-C itself
    ],
)
def test_programs_end_alike(program, error, code, said, monkeypatch, capsys, tmp_path):
    place, name, main, words = PROGRAMS[program]

    def ending(*_, **__):
        if error is None:
            signal.raise_signal(signal.SIGINT)
        raise error

    monkeypatch.setattr(place, name, ending)
    assert main([*words, "--out", str(tmp_path / "run")]) == code
    found = capsys.readouterr().err
    assert found.startswith(said)
    assert found.count("\n") == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_a_mistake_of_ours_is_raised(program, monkeypatch, tmp_path):
    place, name, main, words = PROGRAMS[program]

    def wrong(*_, **__):
        raise KeyError("name")

    monkeypatch.setattr(place, name, wrong)
    with pytest.raises(KeyError):
        main([*words, "--out", str(tmp_path / "run")])
