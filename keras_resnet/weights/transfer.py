"""Gets one file over https, however the server behaves: never two contents in one, never more than allowed, never without end.

Where files lie, what they are called and whether they are the right ones is decided in `download.py`.
"""

import contextlib
import dataclasses
import email.utils
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import sys
import time
from typing import Any, NoReturn

from keras_resnet.weights.connection import Answer, Limits, PassingError, TransferError, answer

PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers after which the same request may succeed


@dataclasses.dataclass(frozen=True)
class _Origin:
    """Of what a partial file is a part: one content at the server, which it names by its entity tag or its date."""

    url: str
    tag: str
    date: str
    total: int

    @property
    def validator(self) -> str:
        return self.tag or self.date


def origin_path(part: pathlib.Path) -> pathlib.Path:
    """Where it stands of what `part` is a part."""
    return part.with_name(f"{part.name}.json")


def discard(part: pathlib.Path) -> None:
    """Removes a partial file and what stands about it."""
    for path in (part, origin_path(part)):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def transfer(url: str, part: pathlib.Path, limits: Limits) -> bool:
    """Fills the file `part` with all that `url` gives, and onto the disk. Returns whether it was put together from several answers.

    A part stays where the transfer broke off and can go on from there; it is removed where it cannot, and where the server or the disk
    refused.

    Raises:
        TransferError: if the file did not come.
    """
    for attempt in range(1, limits.attempts + 1):
        try:
            return _attempt(url, part, limits)
        except TransferError:
            discard(part)
            raise
        except PassingError as error:
            # Not from the generator that users seed, whose numbers would then depend on the network.
            wait = max(limits.backoff * 2 ** (attempt - 1) * random.SystemRandom().uniform(1, 1.5), error.seconds or 0)
            if attempt < limits.attempts and wait <= limits.longest_wait:
                time.sleep(wait)
                continue
            if not origin_path(part).exists():
                discard(part)
            asked = f"; it asks to wait for {error.seconds:.0f} s" if error.seconds else ""
            raise TransferError(f"{error}{asked} (attempt {attempt} of {limits.attempts})") from error
    raise ValueError(f"`attempts` must be at least 1. Received: {limits.attempts}.")


def _attempt(url: str, part: pathlib.Path, limits: Limits) -> bool:
    origin = _origin_of(part, url)
    if origin is None:
        discard(part)
    have = part.stat().st_size if origin else 0
    if origin and have == origin.total:
        return True
    headers = {"User-Agent": "keras-resnet-zoo", "Accept-Encoding": "identity", "Connection": "close"}
    if origin and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": origin.validator}
    with answer(url, headers, limits) as got:
        if got.status == 206 and origin and have:
            _check_range(got, origin, have, part)
            total: int | None = origin.total
        elif got.status == 200:
            discard(part)
            have, total = 0, got.length
            if not got.ends:
                raise TransferError("the server does not say how long the file is")
        else:
            _refuse(got, part)
        if got.header("Content-Encoding").lower() not in ("", "identity"):
            raise TransferError("the server packs the file, which was not asked for")
        if total is not None and total > limits.most_bytes:
            raise TransferError(f"it has {total:,} bytes, more than the allowed {limits.most_bytes:,}")
        _write(got, url, part, have, total, limits)
    return have > 0


def _write(got: Answer, url: str, part: pathlib.Path, have: int, total: int | None, limits: Limits) -> None:
    """Appends what comes to the part, from its place `have` on."""
    done = have
    most = limits.most_bytes if total is None else total
    try:
        free = shutil.disk_usage(part.parent).free
        if total is not None and free < total - have:
            raise TransferError(f"it needs {total - have:,} bytes, the disk of {str(part.parent)!r} has {free:,} free")
        if not have:
            _keep_origin(got, url, part, total)
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(part, flags, 0o666), "wb") as file, _progress(part, have, total) as progress:
            file.seek(have)
            while chunk := got.read():
                done += len(chunk)
                if done > most:
                    raise TransferError(f"more than the {'allowed' if total is None else 'announced'} {most:,} bytes came")
                file.write(chunk)
                progress.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TransferError(f"the file {str(part)!r} cannot be written ({error.strerror or error})") from error
    if total is not None and done != total:
        raise PassingError(f"the connection broke off after {done:,} of {total:,} bytes")


def _refuse(got: Answer, part: pathlib.Path) -> NoReturn:
    said = f"the server answered {got.status} {http.client.responses.get(got.status, '')}".rstrip()
    if got.status == 416:  # the part is longer than what is there now
        discard(part)
        raise PassingError(said)
    if got.status in PASSING:
        raise PassingError(said, _retry_after(got.header("Retry-After")))
    raise TransferError(said)


def _retry_after(value: str) -> float | None:
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _check_range(got: Answer, origin: _Origin, have: int, part: pathlib.Path) -> None:
    """Raises unless the answer is exactly the rest of the content that the part is of. The next attempt starts anew then."""
    rest = got.header("Content-Range") == f"bytes {have}-{origin.total - 1}/{origin.total}" and got.length in (None, origin.total - have)
    same = got.header("ETag") == origin.tag if origin.tag else got.header("Last-Modified") == origin.date
    if not (rest and same):
        discard(part)
        raise PassingError(f"the server answered with another part than asked for ({got.header('Content-Range')[:100]!a})")


def _keep_origin(got: Answer, url: str, part: pathlib.Path, total: int | None) -> None:
    """Notes what the part will be of, where the server gives that a name by which to ask for the rest. A weak tag is none."""
    tag, date = got.header("ETag"), got.header("Last-Modified")
    tag = tag if re.fullmatch(r'"[!#-~]{1,200}"', tag) else ""
    date = date if re.fullmatch(r"[ -~]{1,64}", date) else ""
    if total is not None and (tag or date):
        origin_path(part).write_text(json.dumps(dataclasses.asdict(_Origin(url, tag, date, total))), encoding="utf-8")


def _origin_of(part: pathlib.Path, url: str) -> _Origin | None:
    """What the part is of, if that is what `url` gave and the part can be its start."""
    try:
        origin = _Origin(**json.loads(origin_path(part).read_text(encoding="utf-8")))
        fits = not part.is_symlink() and part.stat().st_size <= origin.total
        return origin if origin.url == url and fits and re.fullmatch(r"[ -~]{1,202}", origin.validator) else None
    except (OSError, ValueError, TypeError):
        return None


def _progress(part: pathlib.Path, have: int, total: int | None) -> Any:
    """A bar on a terminal or in a notebook, else nothing."""
    from tqdm.std import tqdm

    shown = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    name = part.name.removeprefix(".").removesuffix(".part")
    return tqdm(total=total, initial=have, unit="B", unit_scale=True, unit_divisor=1024, desc=name, disable=not shown, leave=False)
