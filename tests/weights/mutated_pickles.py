"""Pickles written by hand, an instruction at a time: what PyTorch's reader must not run, build or believe."""

import io
import pickle
import struct
from collections.abc import Callable

import numpy as np

from tests.weights.mutated_archives import members, packed

Mutation = Callable[[np.random.Generator, bytes], bytes]
Pickle = Callable[[np.random.Generator, bytes], bytes]
MARK, STOP = b"(", b"."
FORTY = np.arange(40, dtype="<f4").tobytes()


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(max(1, (value.bit_length() + 8) // 8), "little", signed=True)
    return struct.pack("<BB", 0x8A, len(raw)) + raw


def numbers(values: tuple[int, ...]) -> bytes:
    return MARK + b"".join(map(number, values)) + b"t"


def called(module: str, name: str, arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + arguments + b"R"


def storage(key: str, count: int, kind: str = "FloatStorage", view: bytes = b"") -> bytes:
    return MARK + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + view + b"tQ"


def tensor(of: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    hooks = called("collections", "OrderedDict", b")")
    return called(
        "torch._utils", "_rebuild_tensor_v2", MARK + of + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + hooks + b"t"
    )


def dictionary(*pairs: tuple[bytes, bytes]) -> bytes:
    return b"\x80\x02}" + MARK + b"".join(key + value for key, value in pairs) + b"u" + STOP


def _payloads(rng: np.random.Generator, main: bytes) -> bytes:
    """Code, by every instruction that could start some."""
    calls = [
        called("os", "mkdir", MARK + text("escaped") + b"t"),
        called("posix", "system", MARK + text("mkdir escaped") + b"t"),
        called("builtins", "eval", MARK + text("__import__('os').mkdir('escaped')") + b"t"),
        called("builtins", "exec", MARK + text("import os; os.mkdir('escaped')") + b"t"),
        called("builtins", "open", MARK + text("escaped") + text("w") + b"t"),
        called("builtins", "getattr", MARK + b"ctorch\nFloatStorage\n" + text("from_file") + b"t"),
        called("subprocess", "Popen", MARK + text("mkdir escaped") + b"t"),
        called("torch.hub", "load", MARK + text("a/b") + text("c") + b"t"),
        called("torch", "load", MARK + text("model.pth") + b"t"),
        called("torch.storage", "UntypedStorage.from_file", MARK + text("escaped") + b"\x88" + number(64) + b"t"),
        called("numpy", "fromfile", MARK + text("secret") + b"t"),
        called("torch._utils", "_rebuild_tensor_v2.__globals__", b")"),
        called("_codecs", "encode", MARK + text("a" * 50) + text("rot13") + b"t"),
        MARK + text("escaped") + b"ios\nmkdir\n",
        MARK + b"cos\nmkdir\n" + text("escaped") + b"o",
        b"cos\nmkdir\n" + MARK + text("escaped") + b"t\x81",
        text("os") + text("mkdir") + b"\x93" + MARK + text("escaped") + b"tR",
        b"\x82\x01",
        b"P1\n",
        b"ctorch.nn.parameter\nParameter\n)\x81}" + text("__class__") + b"N" + b"sb",
        called("collections", "OrderedDict", b")") + b"}" + text("__setstate__") + b"cos\nsystem\n" + b"sb",
        called("torch._tensor", "_rebuild_from_type_v2", MARK + b"cos\nmkdir\nctorch\nTensor\n" + MARK + text("escaped") + b"t}t"),
        called("torch._utils", "_rebuild_wrapper_subclass", MARK + b"cos\nmkdir\nNNNNNNNt"),
    ]
    call = calls[int(rng.integers(len(calls)))]
    return dictionary((text("fc.weight"), call)) if rng.random() < 0.7 else b"\x80\x02" + call + main[2:]


def _tensors(rng: np.random.Generator, main: bytes) -> bytes:
    """Tensors that lie about their storage, in place of one or alone."""
    inf = 2**40
    forms = [
        tensor(storage("0", 40), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40), 0, (10**6,), (1,)),
        tensor(storage("0", inf), 0, (8, 5), (5, 1)),
        tensor(storage("0", inf), 0, (inf,), (1,)),
        tensor(storage("0", 2**62), 0, (8, 5), (5, 1)),
        tensor(storage("0", -40), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40), 10**6, (8, 5), (5, 1)),
        tensor(storage("0", 40), -1, (8, 5), (5, 1)),
        tensor(storage("0", 40), 2**62, (8, 5), (5, 1)),
        tensor(storage("0", 40), 0, (8, 5), (1000, 1)),
        tensor(storage("0", 40), 0, (8, 5), (-5, -1)),
        tensor(storage("0", 40), 0, (8, 5), (2**61, 2**61)),
        tensor(storage("0", 40), 0, (inf,), (0,)),
        tensor(storage("0", 40), 0, (2**31, 2**31, 2**31), (0, 0, 0)),
        tensor(storage("0", 40), 0, (-1,), (1,)),
        tensor(storage("0", 40), 0, (8,), (5, 1)),
        tensor(storage("0", 40), 0, (1,) * 70, (1,) * 70),
        tensor(storage("0", 40, "DoubleStorage"), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40, "ByteStorage"), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40, "ComplexFloatStorage"), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40, "QInt8Storage"), 0, (8, 5), (5, 1)),
        tensor(storage("0", 160, "UntypedStorage"), 0, (8, 5), (5, 1)),
        tensor(storage("nowhere", 40), 0, (8, 5), (5, 1)),
        tensor(storage("../data.pkl", 40), 0, (8, 5), (5, 1)),
        tensor(storage("a\0b", 40), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40).replace(b"cpu", b"cuda:0").replace(b"\3\0\0\0cuda", b"\6\0\0\0cuda"), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40).replace(b"cpu", b"mps"), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40, view=MARK + text("v") + number(inf) + number(40) + b"t"), 0, (8, 5), (5, 1)),
        tensor(storage("0", 40, view=MARK + text("v") + number(-5) + number(inf) + b"t"), 0, (8, 5), (5, 1)),
        called(
            "torch._utils", "_rebuild_meta_tensor_no_storage", MARK + b"ctorch\nfloat32\n" + numbers((5, 8)) + numbers((8, 1)) + b"\x89t"
        ),
        called("torch.serialization", "_get_layout", MARK + text("torch.sparse_coo") + b"t"),
        called("torch", "FloatTensor", MARK + number(2**33) + b"t"),
        called("torch", "Tensor", MARK + number(10**5) + number(10**5) + b"t"),
        called(
            "torch._utils",
            "_rebuild_sparse_tensor",
            MARK
            + called("torch.serialization", "_get_layout", MARK + text("torch.sparse_coo") + b"t")
            + MARK
            + tensor(storage("0", 40, "LongStorage"), 0, (2, 2), (2, 1))
            + tensor(storage("1", 4), 0, (2,), (1,))
            + numbers((10**9, 10**9))
            + b"\x89tt",
        ),
        called(
            "torch._utils",
            "_rebuild_qtensor",
            MARK
            + storage("0", 40, "QInt8Storage")
            + number(0)
            + numbers((8, 5))
            + numbers((5, 1))
            + MARK
            + b"ctorch\nper_tensor_affine\n"
            + b"G"
            + struct.pack(">d", 0.5)
            + number(0)
            + b"t\x89}t",
        ),
        called("torch._utils", "_rebuild_nested_tensor", MARK + tensor(storage("0", 40), 0, (40,), (1,)) * 4 + b"t"),
        called(
            "torch._utils",
            "_rebuild_parameter",
            MARK + tensor(storage("0", 40), 0, (8, 5), (5, 1)) + b"\x88" + called("collections", "OrderedDict", b")") + b"t",
        ),
    ]
    made = forms[int(rng.integers(len(forms)))]
    keys = ("fc.weight", "fc.bias", "bn1.weight", "more")
    key = text(keys[int(rng.integers(4))])
    if rng.random() < 0.5:
        return dictionary((key, made))
    return main[:-1] + key + made + b"s" + STOP  # the last of its name counts


def _bombs(rng: np.random.Generator, main: bytes) -> bytes:
    """A few bytes that stand for much: nests, and the same again and again."""
    doubling = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(40))
    lists = b"".join(b"q" + bytes([i]) + b"](" + (b"h" + bytes([i])) * 10 + b"e" for i in range(12))
    encoded = text("ab" * 50)
    for _ in range(26):
        encoded = called("_codecs", "encode", MARK + encoded + text("hex_codec" if _ else "latin1") + b"t")
    forms = [
        dictionary((b")" + doubling, b"N")),
        dictionary((text("fc.weight"), b")" + doubling)),
        dictionary((text("fc.weight"), b"]" + lists)),
        b"\x80\x02c__builtin__\nset\n](" + b")" + doubling + b"e\x85R" + STOP,
        dictionary((b"(" * 100_000, b"N")),
        dictionary((text("fc.weight"), b"]" * 100_000 + b"a" * 99_999)),
        dictionary((text("fc.weight"), b")" + b"\x85" * 200_000)),
        dictionary((b")" + b"\x85" * 200_000, b"N")),
        dictionary((text("state_dict"), b"}" + text("state_dict") + b"}" + text("model") + b"}" + text("ema") + main[2:-1] + b"sss")),
        b"\x80\x02" + b"}q\0" + text("state_dict") + b"h\0s" + STOP,
        dictionary((text("fc.weight"), called("__builtin__", "bytearray", MARK + number(2**33) + b"t"))),
        dictionary((text("fc.weight"), called("collections", "Counter", MARK + text("ab" * 1000) + b"t"))),
        dictionary((text("fc.weight"), encoded)),
        b"\x80\x02X\xff\xff\xff\xff",
        b"\x80\x02\x8b\xff\xff\xff\x7f",
        b"\x80\x02r\xff\xff\xff\x7f" + STOP,
        b"\x80\x02}r\xff\xff\xff\x7f" + STOP,
        b"\x80\x05\x95" + b"\xff" * 7 + b"\x7f}.",
        b"\x80\x02}" + (text("a") + b"Ns") * 50_000 + STOP,
        pickle.dumps({f"{'k' * 50_000}{i}": i for i in range(20)}, 2),
        pickle.dumps({("a", "b\x1b[2J"): 1, "c": 2}, 2),
        pickle.dumps({}, 2),
        pickle.dumps([1, 2], 2),
        pickle.dumps({"fc.weight": 3.0}, 4),
        pickle.dumps("x" * 1000, 0),
    ]
    return forms[int(rng.integers(len(forms)))]


def _spoilt(rng: np.random.Generator, main: bytes) -> bytes:
    """Instructions of the good one with bits flipped, or one put in place of another."""
    spoilt = bytearray(main)
    for place in rng.integers(len(main), size=int(rng.integers(1, 5))):
        spoilt[place] = int(rng.integers(256)) if rng.random() < 0.5 else spoilt[int(rng.integers(len(main)))]
    return bytes(spoilt)


def in_archive(make: Pickle) -> Mutation:
    """The pickle in place of the one in PyTorch's archive; half of the time beside a storage of the 40 numbers that it may speak of."""

    def mutate(rng: np.random.Generator, content: bytes) -> bytes:
        parts = [(name, make(rng, inside) if name.endswith("data.pkl") else inside) for name, inside in members(content)]
        fits = rng.random() < 0.5
        return packed([(name, FORTY if fits and name.endswith("/data/0") else inside) for name, inside in parts])

    mutate.__name__ = make.__name__.strip("_")
    return mutate


def pickles(content: bytes) -> list[bytes]:
    """The five pickles of a file from before PyTorch 1.6, and the storages behind them."""
    import pickletools

    file, found = io.BytesIO(content), []
    for _ in range(5):
        start = file.tell()
        for _ in pickletools.genops(file):
            pass
        found.append(content[start : file.tell()])
    return [*found, content[file.tell() :]]


def older(pickled: bytes) -> bytes:
    """With the word more by which the older format may make a storage a part of another."""
    return pickled.replace(b"tQ", b"NtQ")


def in_sequence(make: Pickle) -> Mutation:
    """The pickle in place of one of the five that a file from before PyTorch 1.6 begins with; mostly of the fourth, the state."""

    def mutate(rng: np.random.Generator, content: bytes) -> bytes:
        parts = pickles(content)
        at = 3 if rng.random() < 0.8 else int(rng.integers(5))
        parts[at] = older(make(rng, parts[at]))
        if at == 3 and rng.random() < 0.5:
            named = b"storage" in parts[3]
            parts[4:] = [pickle.dumps(["0"] if named else [], 2), struct.pack("<q", 40) + FORTY if named else b""]
        return b"".join(parts)

    mutate.__name__ = make.__name__.strip("_")
    return mutate


def other_keys(rng: np.random.Generator, content: bytes) -> bytes:
    """A file from before 1.6 whose list of storages is short, long, in another order, or of other names."""
    parts = pickles(content)
    keys = pickle.loads(parts[4])
    at = int(rng.integers(len(keys)))
    forms = [
        keys[:-1],
        keys[1:],
        [*keys, keys[at]],
        [*keys[:at], *keys[at + 1 :]],
        keys[::-1],
        [],
        [*keys, "nowhere"],
        [0, *keys[1:]],
        keys[at],
        None,
    ]
    parts[4] = pickle.dumps(forms[int(rng.integers(len(forms)))], 2)
    return b"".join(parts)


def other_sizes(rng: np.random.Generator, content: bytes) -> bytes:
    """A storage of a file from before 1.6 that says to be longer or shorter."""
    parts = pickles(content)
    places, at, data = [], 0, parts[5]
    while at < len(data):
        places.append(at)
        at += 8 + 4 * int.from_bytes(data[at : at + 8], "little") if len(places) < 400 else len(data)
    place = places[int(rng.integers(min(3, len(places))))]
    new = (0, 1, 2**31, 2**62, 2**63, 2**64 - 1, int.from_bytes(data[place : place + 8], "little") + 1)[int(rng.integers(7))]
    parts[5] = data[:place] + new.to_bytes(8, "little") + data[place + 8 :]
    return b"".join(parts)


def big_endian(rng: np.random.Generator, content: bytes) -> bytes:
    """An archive that says to be of another machine, or says nonsense of itself."""
    parts = [part for part in members(content) if not part[0].endswith("byteorder")]
    name = parts[0][0].split("/")[0]
    said = (b"big", b"middle", b"", b"\xff", b"little\0")[int(rng.integers(5))]
    more = [
        ("byteorder", said),
        ("version", b"9" * 100),
        (".format_version", b"1"),
        (".storage_alignment", b"-1"),
        ("constants.pkl", b"cos\nmkdir\n"),
    ]
    chosen = more[int(rng.integers(len(more)))] if rng.random() < 0.6 else more[0]
    return packed([*(part for part in parts if not part[0].endswith(chosen[0])), (f"{name}/{chosen[0]}", chosen[1])])


MAKERS: tuple[Pickle, ...] = (_payloads, _payloads, _tensors, _tensors, _tensors, _bombs, _bombs, _spoilt, _spoilt)
ARCHIVE: tuple[Mutation, ...] = (*map(in_archive, MAKERS), big_endian)
SEQUENCE: tuple[Mutation, ...] = (*map(in_sequence, MAKERS), other_keys, other_keys, other_sizes)
