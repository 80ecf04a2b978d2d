"""Pictures as they lie in folders: what can be read is read as it is meant, and of the rest each is named with the reason."""

import json
import os
import pathlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_resnet_cli.pictures import read_picture
from training.__main__ import main
from training.data import readable
from training.data.dataset import Dataset, Part
from training.data.pictures import Pictures

SIDE = 24
RAMP = np.repeat(np.linspace(0, 255, SIDE).astype("uint8")[None], SIDE, 0)  # darkest on the left
WHOLE = Image.fromarray(np.dstack([RAMP] * 3))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(path: pathlib.Path) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9999)) + chunk(b"IEND", b""))


def truncated(path: pathlib.Path) -> None:
    WHOLE.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def renamed(path: pathlib.Path) -> None:
    WHOLE.save(path.with_suffix(".png"))
    path.with_suffix(".png").rename(path)


def animated(path: pathlib.Path) -> None:
    WHOLE.save(path, save_all=True, append_images=[Image.new("RGB", WHOLE.size)], **({"lossless": True} if path.suffix == ".webp" else {}))


def turned(path: pathlib.Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is on the right
    WHOLE.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def six(folder: pathlib.Path, *damaged: int) -> list[str]:
    """The paths of six pictures, of which these are damaged."""
    paths = [folder / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        (truncated if number in damaged else WHOLE.save)(path)
    return list(map(str, paths))


READ = {
    "cmyk.jpg": lambda path: WHOLE.convert("CMYK").save(path, quality=95),
    "sixteen.png": lambda path: Image.fromarray(RAMP.astype("uint16") * 257).save(path),
    "animated.gif": animated,
    "animated.webp": animated,
    "wrong_suffix.jpg": renamed,
    "turned.jpg": turned,
    "transparent.png": lambda path: WHOLE.quantize().save(path, transparency=bytes(256)),
    "alpha.png": lambda path: WHOLE.convert("LA").save(path),
    "grey.tif": lambda path: WHOLE.convert("L").save(path),
    "one_bit.png": lambda path: Image.fromarray(RAMP > 127).save(path),
}
UNREAD = {
    "truncated.jpg": (truncated, "cannot be read"),
    "zero.png": (lambda path: path.write_bytes(b""), "is no picture of a kind"),
    "text.jpg": (lambda path: path.write_text("hello"), "is no picture of a kind"),
    "bomb.png": (bomb, "more than 134,217,728 pixels"),
    "folder.jpg": (lambda path: path.mkdir(), "is a folder"),
    "link.png": (lambda path: path.symlink_to(path.with_name("nowhere")), "There is no picture at"),
    "pipe.png": (os.mkfifo, "is no file"),
    "float.tif": (lambda path: Image.fromarray(RAMP.astype("float32")).save(path), "whose range is known"),
}


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read_is_read_as_it_is_meant(name, tmp_path):
    READ[name](tmp_path / name)
    pictures = Pictures([str(tmp_path / name)], SIDE)
    read = pictures[np.array([0])][0].astype(int)
    assert pictures.unread == {}
    expected = 255 * (RAMP > 127) if name == "one_bit.png" else RAMP
    assert np.abs(read - expected[..., None].astype(int)).mean() < 6  # JPEG's and palettes' own errors


def test_squares_of_long_pictures(tmp_path):
    """A ramp of 24 x 8 pixels, squeezed: its width is all there, and so is a random part's."""
    path = str(tmp_path / "long.png")
    WHOLE.crop((0, 0, SIDE, 8)).save(path)
    whole = Pictures([path], 8, squeeze=True)[np.array([0])][0]
    np.testing.assert_allclose(whole[..., 0], np.broadcast_to(RAMP[0].reshape(8, 3).mean(1), (8, 8)), atol=3)
    middle = Pictures([path], 8)[np.array([0])][0]
    np.testing.assert_array_equal(middle[0, :, 0], RAMP[0, 8:16])
    parts = Pictures([path] * 20, 8, seed=0, area=(0.25, 0.25), ratio=(1.0, 1.0), squeeze=True)[np.arange(20)]
    assert len({int(part[0, 0, 0]) for part in parts}) > 5
    assert all(110 < int(part[0, -1, 0]) - int(part[0, 0, 0]) < 130 for part in parts)  # half of the width each


def test_a_hundred_odd_ones_of_a_thousand(tmp_path, capsys):
    data = tmp_path / "data"
    for label in range(2):
        (data / str(label)).mkdir(parents=True)
        for number in range(450):
            Image.new("RGB", (12, 10 + number % 5), (100 * label + number % 50,) * 3).save(data / str(label) / f"{number}.jpg")
    makers = {**READ, **{name: make for name, (make, _) in UNREAD.items()}}
    names, reasons = list(makers), {}
    for number in range(100):
        name = names[number % len(names)]
        path = data / str(number % 2) / f"odd{number}_{name}"
        makers[name](path)
        if name in UNREAD:
            reasons[str(path)] = UNREAD[name][1]
    words = ["imagenet_resnet50", "--quick", "--data", str(data), "--set", "data.classes=2", "--set", "steps=none"]
    assert main([*words, "--set", "batch=25", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    unread = json.loads((tmp_path / "run" / "result.json").read_text())["unread"]
    assert unread.keys() == reasons.keys()
    assert len(reasons) == 40
    for path, reason in reasons.items():
        assert reason in unread[path]
        assert f"passed over: {path}: " in said
    assert f"Pictures that could not be read: {len(reasons)}." in said
    # By the switch the first of them ends the run, before anything is written if it is one to test on.
    assert main([*words, "--out", str(tmp_path / "strict"), "--stop-at-damaged"]) == 1
    error = capsys.readouterr().err
    assert error.count("error:") == 1
    assert "It was not to be passed over (--stop-at-damaged)" in error


def test_what_was_not_read_is_known_after_a_resume(tmp_path):
    paths = six(tmp_path, 2)
    first, second = Pictures(paths, SIDE), Pictures(paths, SIDE)
    first[np.array([1, 2])]
    assert list(first.unread) == [paths[2]]
    assert first.unopened == 3  # in the place of one came its neighbour
    second.set_state(first.state())
    assert (second.unread, second.unopened) == (first.unread, 3)
    with pytest.raises(ValueError, match="begun with 6 pictures, and now there are 5"):
        Pictures(paths[:5], SIDE).set_state(first.state())


class Two:
    """The first of two processes, where the other says what `theirs` does with what this one says."""

    processes, part = 2, (0, 2)

    def __init__(self, theirs):
        self.theirs = theirs

    def of_all(self, make):
        return make()

    def gathered(self, said):
        return [said, self.theirs(said)]


def test_what_other_processes_could_not_read_is_known_to_all(tmp_path):
    paths = six(tmp_path, 1, 2)
    mine, theirs = Pictures(paths, SIDE), Pictures(paths, SIDE)
    mine.tried([0, 2])
    theirs.tried([1, 4])

    def say(said):
        seen = {}
        readable.told(theirs, Two(lambda own: seen.setdefault("said", own)))
        return seen["said"]

    readable.told(mine, Two(say))
    assert sorted(mine.unread) == paths[1:3]
    assert mine.unopened == 2


def test_of_pictures_to_test_on_each_process_opens_its_part(tmp_path):
    paths = six(tmp_path, 1, 2)
    opened, labels = [], np.array([0, -1, 2, -1, 4, -1], "int32")  # as records have them that another opens

    def open_(index):
        opened.append(index)
        return read_picture(paths[index])

    mine, theirs = Pictures(paths, SIDE, opened=open_), Pictures(paths, SIDE)
    theirs.tried([1, 3, 5])

    def say(said):
        if said.startswith(b"{"):
            state = theirs.state()
            return json.dumps({**state, "met": state["met"].tobytes().hex()}).encode()
        return np.array([-1, 1, -1, 3, -1, 5], "int32").tobytes()

    found = readable.only_readable(Dataset(Part(None, None), Part(mine, labels), ["a"]), Two(say))
    assert sorted(opened) == [0, 2, 4]
    assert found.test.labels.tolist() == [0, 3, 4, 5]
    assert found.test.images.paths == [paths[index] for index in (0, 3, 4, 5)]
    assert sorted(found.test.images.unread) == paths[1:3]
