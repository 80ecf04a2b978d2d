"""PyTorch's files looked through before PyTorch reads them: what they name, how large it is, and whether it is there. Builds nothing."""

import math
import pickletools
import re
import zipfile
from typing import Any, BinaryIO, NamedTuple

from keras_resnet.weights.shown import shown

# What a state dict and the rest of a training checkpoint are made of; all else that PyTorch would build is no weight.
CALLED = ("collections OrderedDict", "collections Counter", "__builtin__ set", "builtins set", "torch Size", "torch device")
TENSORS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3")
WRAPPED = ("torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state")
SIZES = dict(
    ComplexDouble=16, ComplexFloat=8, Double=8, Long=8, Float=4, Int=4, Half=2, BFloat16=2, Short=2, Char=1, Byte=1, Bool=1, Untyped=1
)
TYPES = r"torch (?:uint|int|float|bfloat|complex|bool)\w*"
DEEPEST = 64  # tuples in tuples; Python itself counts no further than its stack
MOST_FETCHED = 10**7  # entries of tuples that are taken again: 40 bytes can stand for 2**40
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING")
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Foreign(ValueError):
    """What a training program may well have written, and a file of weights alone does not have."""


class _Item(NamedTuple):
    """What an instruction leaves: its value, where that matters; how many entries it has, all counted; how deep its tuples are."""

    value: Any = None
    size: int = 1
    depth: int = 0


class _Name(str):
    """A function or a type, as module and name."""


class _Storage(NamedTuple):
    nbytes: int
    width: int  # of one number


class _Made(NamedTuple):
    """What a call gives."""

    by: str


def check_archive(path: Any) -> None:
    """Raises unless every storage that the pickle of an archive names is a member of just its length, and every tensor lies in its storage.

    Also where another reader could take the archive for one of other members: names that differ by case, a header that says another name.
    """
    with open(path, "rb") as file:
        file.seek(-22, 2)
        end = file.read()
    if end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise ValueError("there is something behind its directory")
    with zipfile.ZipFile(path) as archive:
        members: dict[str, int] = {}
        for info in archive.infolist():
            if info.filename != info.orig_filename or info.filename.lower() in members:
                raise ValueError(f"its member {shown(info.filename)!r} is there twice or has no proper name")
            if info.file_size != info.compress_size:
                raise ValueError(f"its member {shown(info.filename)!r} is compressed")
            with archive.open(info):  # compares both headers, and finds those that overlap
                members[info.filename.lower()] = info.file_size
        folders = {name.partition("/")[0] for name in members}
        pickled = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
        if len(folders) != 1 or len(pickled) != 1 or pickled[0].filename.count("/") != 1:
            raise ValueError("it is an archive, but none of PyTorch's")
        with archive.open(pickled[0]) as file:
            _, storages = scanned(file)  # type: ignore[arg-type]
    for key, nbytes in storages.items():
        found = members.get(f"{pickled[0].filename[: -len('data.pkl')]}data/{key}".lower())
        if found != nbytes:
            raise ValueError(f"it says that its storage {shown(key)!r} has {nbytes:,} bytes, but there are {found or 0:,}")


def check_sequence(file: BinaryIO) -> None:
    """The same for a file from before PyTorch 1.6: five pickles, then the storages in the order of the fifth, each behind its length."""
    for _ in range(3):
        scanned(file)
    _, storages = scanned(file)
    keys, _ = scanned(file)
    listed = [key.value for key in keys.value] if isinstance(keys.value, list) else []
    if sorted(map(repr, listed)) != sorted(map(repr, storages)):
        raise ValueError("the list of its storages is not that of those its tensors use")
    start = file.tell()
    expected, found = sum(8 + nbytes for nbytes in storages.values()), file.seek(0, 2) - start
    if expected != found:
        raise ValueError(f"its storages say to take {expected:,} bytes, but there are {found:,}")


def scanned(file: BinaryIO) -> tuple[Any, dict[str, int]]:
    """What is on top at the end of one pickle, and the bytes of every storage that it names.

    Raises:
        Foreign: at an instruction, a function or a type that no state dict needs.
        ValueError: at a tensor that is larger than its storage.
    """
    return _Scan(file).result


class _Scan:
    """A pickle followed with a stack of `_Item` in place of objects."""

    def __init__(self, file: BinaryIO):
        self.stack: list[_Item] = []
        self.below: list[list[_Item]] = []  # what was on the stack at each mark
        self.memo: dict[int, _Item] = {}
        self.storages: dict[str, int] = {}
        self.fetched = 0
        for operation, argument, _ in pickletools.genops(file):
            if operation.name == "STOP":
                self.result = self.stack.pop(), self.storages
                return
            self._step(operation.name, argument)

    def _step(self, name: str, argument: Any) -> None:
        if name in VALUES or name in CONSTANTS:
            self.stack.append(_Item(CONSTANTS.get(name, argument)))
        elif name in TUPLES:
            self.stack.append(_tuple([self.stack.pop() for _ in range(TUPLES[name])][::-1]))
        elif name == "TUPLE":
            items = self._marked()
            self.stack.append(_tuple(items))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
            self.fetched += self.stack[-1].size
            if self.fetched > MOST_FETCHED:
                raise ValueError("a few bytes of it stand for more than any state dict holds")
        elif name == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif name == "GLOBAL":
            self.stack.append(_Item(_allowed(argument)))
        elif name == "BINPERSID":
            self.stack.append(_Item(self._storage(_values(self.stack.pop()))))
        elif name == "REDUCE":
            arguments = self.stack.pop()
            self.stack.append(_Item(_made(self.stack.pop().value, _values(arguments))))
        else:
            self._fill(name)

    def _fill(self, name: str) -> None:
        """Containers: only a list's entries are kept, for the list of storages."""
        if name in ("EMPTY_DICT", "EMPTY_SET"):
            self.stack.append(_Item(_Made("dict")))
        elif name == "EMPTY_LIST":
            self.stack.append(_Item([]))
        elif name in ("APPEND", "APPENDS"):
            items = [self.stack.pop()] if name == "APPEND" else self._marked()
            if not isinstance(self.stack[-1].value, list):
                raise ValueError("it appends to what is no list")
            self.stack[-1].value.extend(items)
        elif name in ("SETITEM", "SETITEMS", "BUILD"):
            if name == "SETITEMS":
                self._marked()
            else:
                del self.stack[-1 if name == "BUILD" else -2 :]
            if self.stack[-1].value not in (_Made("dict"), _Made("OrderedDict"), _Made("Counter")):
                raise ValueError("it fills what is no dictionary")
        elif name != "PROTO":
            raise Foreign(f"it has the instruction {name}, which no state dict needs")

    def _marked(self) -> list[_Item]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def _storage(self, words: list) -> _Storage:
        kind, name, key, _, count, *view = words
        size = SIZES.get(re.sub(r"torch(\.storage)? (\w*)Storage", r"\2", name) if isinstance(name, _Name) else "", 0)
        if kind not in ("storage", b"storage") or not size or not _is_count(count) or view not in ([], [None]):
            raise ValueError("it has a storage of a kind that is not read")
        key, nbytes = key if isinstance(key, str) else repr(key), count * size
        if self.storages.setdefault(key, nbytes) != nbytes:
            raise ValueError(f"it says that its storage {shown(key)!r} has {nbytes:,} and {self.storages[key]:,} bytes")
        return _Storage(nbytes, size)


def _tuple(items: list[_Item]) -> _Item:
    made = _Item(tuple(items), 1 + sum(item.size for item in items), 1 + max((item.depth for item in items), default=0))
    if made.depth > DEEPEST:
        raise ValueError("its tuples are nested too deeply")
    return made


def _values(item: _Item) -> list:
    if not isinstance(item.value, tuple) or type(item.value) is not tuple:
        raise ValueError("it calls something with what are no arguments")
    return [part.value for part in item.value]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _allowed(argument: str) -> _Name:
    if argument in (*CALLED, *TENSORS, *WRAPPED) or re.fullmatch(rf"{TYPES}|torch(?:\.storage)? ({'|'.join(SIZES)})Storage", argument):
        return _Name(argument)
    raise Foreign(f"it names {shown(argument.replace(' ', '.'), 60)!r}, which is no part of a state dict and is not loaded")


def _made(function: Any, arguments: list) -> Any:
    """What a call gives; a tensor only where it lies in its storage."""
    if not isinstance(function, _Name):
        raise ValueError("it calls what is no function")
    if function in TENSORS:
        return _tensor(function, arguments)
    if function in WRAPPED:
        return arguments[0]
    if function not in CALLED:
        raise Foreign(f"it calls {shown(function.replace(' ', '.'), 60)!r}, which is no function of a state dict")
    return _Made(function.split()[1])


def _tensor(function: str, arguments: list) -> _Made:
    storage, offset, shape, strides, *more = arguments
    if not isinstance(storage, _Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides):
        raise ValueError("it has a tensor without a storage or a shape")
    sizes, steps = [item.value for item in shape], [item.value for item in strides]
    if not all(map(_is_count, (offset, *sizes, *steps))) or len(sizes) > 32:
        raise ValueError("it has a tensor of an impossible shape")
    width = storage.width
    if function.endswith("_v3"):
        bits = re.search(r"\d+", more[2]) if len(more) > 2 and isinstance(more[2], _Name) else None
        width = int(bits[0]) // 8 if bits else 1
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    if math.prod(sizes) * width > storage.nbytes or (0 not in sizes and (last + 1) * width > storage.nbytes):
        raise ValueError("it has a tensor that is larger than its storage")
    return _Made("tensor")
