"""Which files of a folder are its pictures."""

import os

import pytest

from keras_resnet_cli.picture_folders import folders_in, pictures_below, printable


def test_what_is_a_picture(tmp_path):
    for name in ("b/1.JPG", "b/deep/er/2.tiff", "b/.hidden.png", "b/.ipynb_checkpoints/1.png", "b/notes.txt", "a/3.png", ".c/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "also").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "above").symlink_to(tmp_path / "b")  # without end
    (tmp_path / "b" / "folder.gif").mkdir()
    assert [place.name for place in folders_in(tmp_path)] == ["a", "b"]
    found = [os.path.relpath(path, tmp_path) for path in pictures_below(tmp_path / "b")]
    assert found == ["b/1.JPG", "b/also/3.png", "b/deep/er/2.tiff", "b/folder.gif"]


@pytest.mark.parametrize(("name", "said"), [(b"caf\xc3\xa9", "caf\u00e9"), (b"a\xff", r"a\xff"), (b"plain", "plain")])
def test_names_that_can_be_written(name, said):
    assert printable(os.fsdecode(name)) == said
    printable(os.fsdecode(name)).encode()
