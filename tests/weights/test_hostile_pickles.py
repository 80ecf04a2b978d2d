"""PyTorch's files made to hurt: code, lent or empty storages, a few bytes that stand for much. Refused before PyTorch reads them."""

import io
import pickle
import struct

import numpy as np
import pytest

from keras_resnet.weights import load, scan_pickle
from tests.weights import files
from tests.weights.mutated_archives import members as members_of
from tests.weights.mutated_archives import packed
from tests.weights.mutated_pickles import FORTY, MARK, STOP, called, dictionary, number, numbers, older, pickles, storage, tensor, text
from tests.weights.spoilt import refused

torch = pytest.importorskip("torch", reason="reading .pth needs PyTorch")


def saved(archive: bool) -> bytes:
    buffer = io.BytesIO()
    state = {key: torch.from_numpy(value.copy()) for key, value in files.state_dict(files.small(2)).items()}
    torch.save(state, buffer, _use_new_zipfile_serialization=archive)
    return buffer.getvalue()


def archive_of(main: bytes, path):
    """PyTorch's archive with this pickle, and one storage of 40 numbers."""
    members = [("data.pkl", main), ("byteorder", b"little"), ("data/0", FORTY), ("data/1", FORTY), ("version", b"3\n")]
    path.write_bytes(packed([(f"archive/{name}", content) for name, content in members]))
    return path


def sequence_of(main: bytes, path, keys: object = ("0",), data: bytes = struct.pack("<q", 40) + FORTY):
    """The same in the format from before PyTorch 1.6."""
    first = pickles(saved(archive=False))[:3]
    path.write_bytes(b"".join([*first, older(main), pickle.dumps(list(keys) if keys else [], 2), data]))
    return path


GOOD = tensor(storage("0", 40), 0, (8, 5), (5, 1))


@pytest.mark.parametrize("write", [archive_of, sequence_of])
class TestTensors:
    def test_the_good_one_is_read(self, model, write, tmp_path):
        """All that is wrong with it is that it is alone."""
        with refused(model, write(dictionary((text("fc.weight"), GOOD)), tmp_path / "model.pth"), "do not fit", "missing"):
            load.load_weights(model, tmp_path / "model.pth")

    @pytest.mark.parametrize(
        ("offset", "shape", "strides"),
        [
            (1, (8, 5), (5, 1)),
            (0, (8, 5), (6, 1)),
            (0, (41,), (1,)),
            (0, (1000,), (0,)),
            (2**40, (1,), (1,)),
            (-1, (8, 5), (5, 1)),
            (0, (8, 5), (-5, 1)),
            (0, (2**31, 2**31, 2**31), (0, 0, 0)),
        ],
    )
    def test_beyond_its_storage(self, model, write, offset, shape, strides, tmp_path):
        """PyTorch makes the storage of the older format larger, and what was in memory there would be weights."""
        path = write(dictionary((text("fc.weight"), tensor(storage("0", 40), offset, shape, strides))), tmp_path / "model.pth")
        with refused(model, path, "larger than its storage" if min(offset, *strides) >= 0 else "impossible shape"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("count", [39, 41, 80, 2**40])
    def test_storage_of_another_length(self, model, write, count, tmp_path):
        """PyTorch maps an archive into memory, and would go on into the next member."""
        path = write(dictionary((text("fc.weight"), tensor(storage("0", count), 0, (3, 5), (5, 1)))), tmp_path / "model.pth")
        with refused(model, path, "bytes, but there are"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("count", [2**48, -1])
    def test_storage_of_no_length(self, model, write, count, tmp_path):
        path = write(dictionary((text("fc.weight"), tensor(storage("0", count), 0, (3, 5), (5, 1)))), tmp_path / "model.pth")
        with refused(model, path, "storage of a kind that is not read"):
            load.load_weights(model, path)


class TestStorages:
    @pytest.mark.parametrize(
        ("keys", "data"), [((), b""), (("0", "0"), struct.pack("<q", 40) + FORTY), (("1",), struct.pack("<q", 40) + FORTY)]
    )
    def test_never_filled(self, model, keys, data, tmp_path):
        """In the older format PyTorch fills those in a list; what is not in it would keep what was in memory."""
        path = sequence_of(dictionary((text("fc.weight"), GOOD)), tmp_path / "model.pth", keys, data)
        with refused(model, path, "list of its storages"):
            load.load_weights(model, path)

    def test_not_there(self, model, tmp_path):
        path = archive_of(dictionary((text("fc.weight"), tensor(storage("9", 40), 0, (8, 5), (5, 1)))), tmp_path / "model.pth")
        with refused(model, path, "there are 0"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("name", ["archive/DATA.pkl", "archive/data/0", "archive/Data/0", "other/data/0", "archive/more/data.pkl\0x"])
    def test_member_that_another_reader_would_take(self, model, name, tmp_path):
        """PyTorch's own reader of archives does not tell small letters from capital ones, nor ends a name at a zero."""
        path = tmp_path / "model.pth"
        path.write_bytes(packed([*members_of(saved(archive=True)), (name, b"\0" * 160)]))
        with refused(model, path, "cannot be read"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("behind", [b"\0", b"PK\5\6" + b"\0" * 18, b"x" * 64])
    def test_second_directory(self, model, behind, tmp_path):
        path = tmp_path / "model.pth"
        path.write_bytes(saved(archive=True) + behind)
        with refused(model, path, "cannot be read"):
            load.load_weights(model, path)


DOUBLED = b")" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(40))
ENCODED = called("_codecs", "encode", MARK + text("ab") + text("hex_codec") + b"t")
BOMBS = {
    "tuple of 2**40": (dictionary((DOUBLED, b"N")), "stand for more"),
    "tuple of 200,000 tuples": (dictionary((b")" + b"\x85" * 200_000, b"N")), "nested too deeply"),
    "doubling text": (dictionary((text("fc.weight"), ENCODED)), "_codecs.encode"),
    "bytes": (dictionary((text("fc.weight"), called("__builtin__", "bytearray", MARK + number(2**33) + b"t"))), "bytearray"),
    "tensor without file": (dictionary((text("fc.weight"), called("torch", "FloatTensor", MARK + number(2**33) + b"t"))), "FloatTensor"),
    "code": (dictionary((text("fc.weight"), called("os", "system", MARK + text("mkdir escaped") + b"t"))), "'os.system'"),
    "sparse": (dictionary((text("fc.weight"), called("torch._utils", "_rebuild_sparse_tensor", b")"))), "_rebuild_sparse_tensor"),
    "type called": (dictionary((text("fc.weight"), called("torch", "FloatStorage", MARK + number(2**40) + b"t"))), "no function"),
    "new object": (b"\x80\x02ccollections\nOrderedDict\n)\x81" + STOP, "NEWOBJ"),
    "attributes of a tensor": (dictionary((text("fc.weight"), GOOD + b"}b")), "no dictionary"),
    "taken from nothing": (b"\x80\x02\x86" + STOP, "cannot be read"),
    "shape of text": (
        dictionary((text("fc.weight"), GOOD.replace(numbers((8, 5)), MARK + text("a") + text("b") + b"t"))),
        "impossible shape",
    ),
}


@pytest.mark.parametrize("write", [archive_of, sequence_of])
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.timeout(30)
def test_bombs(model, write, bomb, tmp_path):
    """Python's dictionaries look at every entry of a tuple; PyTorch's reader lets a pickle encode a text again and again."""
    main, said = BOMBS[bomb]
    with refused(model, write(main, tmp_path / "model.pth"), said):
        load.load_weights(model, tmp_path / "model.pth")


def test_what_training_programs_write_passes():
    """Everything that PyTorch's restricted reader takes and a checkpoint has beside weights."""
    import collections

    extra = dict(
        size=torch.Size([2]),
        kinds={1, 2},
        where=torch.device("cpu"),
        dtype=torch.float32,
        steps=collections.Counter([30, 60]),
        none=None,
        parameter=torch.nn.Parameter(torch.ones(2)),
        short=torch.ones(3, dtype=torch.uint16),
        big=2**70,
        rate=0.1,
        on=True,
        betas=(0.9, 0.999),
        half=torch.ones(2).half(),
        narrow=torch.ones(2).bfloat16(),
        view=torch.arange(6.0).reshape(2, 3).T,
        nothing=torch.ones(0, 3),
        scalar=torch.tensor(3),
        shared=[torch.ones(4)] * 2,
    )
    for archive in (True, False):
        buffer = io.BytesIO()
        torch.save(extra, buffer, _use_new_zipfile_serialization=archive)
        content = buffer.getvalue()
        parts = [dict(members_of(content))["archive/data.pkl"]] if archive else pickles(content)[:5]
        storages = [scan_pickle.scanned(io.BytesIO(part))[1] for part in parts]
        assert sum(map(len, storages)) == 8 if archive else 8
        assert np.sum([list(found.values()) for found in storages if found]) == 8 + 6 + 4 + 4 + 24 + 0 + 8 + 16
