"""Brings files of weights into the cache: complete, checked, once. Neither Keras nor a framework is imported here."""

import contextlib
import ipaddress
import os
import pathlib
import re
import sys
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from keras_resnet.weights.cache import DIGEST, cache_folder, check_name, fits, is_name, is_there, offline, remember, sum_of, sweep
from keras_resnet.weights.connection import Limits, TransferError, check_url
from keras_resnet.weights.transfer import PASSING, discard, transfer
from keras_resnet.weights.whole_files import settle

HUB_WAITS = (1, 2, 4, 0)  # seconds before the hub is asked again, if it may be better then
ENDPOINT = "The environment variable HF_ENDPOINT"
OFFLINE = "connections are switched off (KERAS_RESNET_OFFLINE, HF_HUB_OFFLINE)"


class DownloadError(OSError):
    """A file of weights is not in the cache and did not come: which, why, and where to put it by hand."""


def download(url: str, digest: str = "", name: str = "", most_bytes: int = Limits.most_bytes) -> pathlib.Path:
    """The file of a URL, in the cache: complete, and the one that `digest` tells of. A file that is there is not asked for again.

    Args:
        url: https only, also behind redirections.
        digest: `"sha256:"` and 64 digits, or as many of the first (8 at least) as are public; `"md5:"` and 32; `""` where none is known.
        name: of the file in the cache, by default the last part of the URL.
        most_bytes: a longer file is refused.

    Raises:
        ValueError: if an argument is wrong, or the name could lead out of the cache.
        DownloadError: if the file did not come, or is another one; nothing of it is kept then that could be taken for it.
    """
    return _download(url, digest, name, Limits(most_bytes=most_bytes))


def download_from_hub(repository: str, file: str, revision: str = "") -> pathlib.Path:
    """A file of a repository on the Hugging Face hub, from its cache or from there.

    The hub's own client does it, in the hub's own cache, or in the folder `hub` of $KERAS_RESNET_CACHE where that is set. What is in the
    cache is used without asking whether there is a newer one, if it has the SHA-256 that the hub names it by.

    Args:
        repository: `"timm/resnet50.a1_in1k"`.
        file: its path in the repository.
        revision: a branch, tag or commit; `""` is the main branch.

    Raises:
        ValueError: if an argument is wrong, or could lead out of the repository; if HF_ENDPOINT is no https URL.
        DownloadError: if the file did not come. An `OSError`.
    """
    check_hub_names(repository, file, revision)
    by_hand = cache_folder() / "by_hand" / repository / (revision or "main") / file
    if by_hand.is_file():
        return by_hand
    folder = str(cache_folder() / "hub") if os.environ.get("KERAS_RESNET_CACHE") else None
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    source = f"{endpoint}/{repository}/resolve/{revision or 'main'}/{file}"
    try:
        import huggingface_hub.file_download  # whole, for it reads HF_ENDPOINT as it comes
    except ImportError as error:
        raise _error(file, source, by_hand, "the package huggingface_hub is missing: pip install huggingface_hub") from error
    except ValueError:
        _check_secure(endpoint, ENDPOINT)
        raise
    asked: dict[str, Any] = dict(repo_id=repository, filename=file, revision=revision or None, cache_dir=folder)
    found = huggingface_hub.try_to_load_from_cache(**asked)
    if isinstance(found, str) and _is_named_content(pathlib.Path(found), source):
        return pathlib.Path(found)
    spoilt = isinstance(found, str)
    state = "what the cache had was another file than its SHA-256 says, and was deleted" if spoilt else "it is not in the cache"
    if offline():
        raise _error(file, source, by_hand, f"{state}, and {OFFLINE}")
    _check_secure(endpoint, ENDPOINT)
    try:
        tag = _check_hub_answer(huggingface_hub.hf_hub_url(repository, file, revision=revision or None, endpoint=endpoint))
        path = pathlib.Path(huggingface_hub.hf_hub_download(**asked, endpoint=endpoint, force_download=spoilt))
    except TransferError as error:
        raise _error(file, source, by_hand, str(error)) from error
    except Exception as error:  # its own errors, its HTTP library's and its transfer library's have no common class
        raise _error(file, source, by_hand, _hub_reason(error)) from error
    if not _is_named_content(path, source, tag):
        raise _error(file, source, by_hand, "what came has another SHA-256 than the hub names, and was deleted")
    return path


def _is_named_content(path: pathlib.Path, source: str, tag: str = "") -> bool:
    """Whether a file in the hub's cache has the SHA-256 that names it; else it is deleted.

    The client checks the length only, and puts the file where others find it. It names large files by their SHA-256: there each one who
    uses it checks it, once until size or time change. Where it can make no links (on Windows) names are lost, and only the `tag` that the
    hub just gave is known.
    """
    # One link far: behind that there may be a store of blobs by the hash of its transfers.
    blob = pathlib.Path(path.parent, os.readlink(path)) if path.is_symlink() else path
    name = blob.name if blob != path else tag
    if not re.fullmatch("[0-9a-f]{64}", name):
        return True
    if is_there(blob, source, f"sha256:{name}"):
        return True
    for spoilt in (blob, path):
        with contextlib.suppress(OSError):
            spoilt.unlink()
    return False


def _check_secure(url: str, of: str) -> None:
    """Raises `ValueError` where somebody would be asked in the clear, who is not this machine itself, or the URL is none."""
    with contextlib.suppress(ValueError):  # no URL; a name, not an address
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback):
            return
    check_url(url, of)


def check_hub_names(repository: Any, file: Any, revision: Any = "") -> None:
    """Raises `ValueError` where a repository, a file in it or a revision is none, or could lead out of the cache."""
    part = r"(?!.*(--|\.\.))[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
    if not isinstance(repository, str) or not re.fullmatch(rf"{part}/{part}", repository):
        raise ValueError(f'`repository` must be "organization/name", as "timm/resnet50.a1_in1k". Received: {str(repository)[:200]!r}.')
    for argument, value in (("file", file), ("revision", revision)):
        fits = isinstance(value, str) and len(value) <= 200 and all(is_name(name) for name in value.split("/"))
        if not (fits or (argument == "revision" and value == "")):
            raise ValueError(
                f"`{argument}` must be names of letters, digits and ._+@=- joined by /, and stay in the repository. "
                f"Received: {str(value)[:200]!r}."
            )


def _check_hub_answer(url: str) -> str:
    """Asks for the file's tag, commit, size and place, and raises where the client should not go on. Returns the tag.

    huggingface_hub 2.4 makes the tag a path as it is: with "../" in it, a mirror could write anywhere. And without a network it tries for
    23 s what fails here at once.
    """
    import huggingface_hub

    for wait in HUB_WAITS:
        try:
            answer = huggingface_hub.get_hf_file_metadata(url, timeout=Limits.connect)
            break
        except Exception as error:
            if not wait or getattr(getattr(error, "response", None), "status_code", 0) not in PASSING:
                raise
            time.sleep(wait)
    if not re.fullmatch(r"[A-Za-z0-9_-]{8,128}", answer.etag or "") or not re.fullmatch(r"[0-9A-Za-z]{7,64}", answer.commit_hash or ""):
        raise TransferError(f"the hub names no file (tag {str(answer.etag)[:80]!a}, commit {str(answer.commit_hash)[:80]!a})")
    try:
        _check_secure(answer.location, "the target")
    except ValueError as error:
        raise TransferError(f"the hub redirects to what is not asked: {error}") from error
    if (answer.size or 0) > Limits.most_bytes:
        raise TransferError(f"it has {answer.size:,} bytes, more than the allowed {Limits.most_bytes:,}")
    return answer.etag or ""


def _hub_reason(error: Exception) -> str:
    """What the client's error means: that with the most exact class."""
    reasons = {
        "GatedRepoError": "its owner wants to be asked: accept the terms on its page and log in (hf auth login)",
        "RepositoryNotFoundError": "there is no such repository, or it is private",
        "RevisionNotFoundError": "the repository has no such revision",
        "EntryNotFoundError": "the repository has no such file",
        "TransportError": "the hub cannot be reached",  # httpx's
    }
    reason = next((reasons[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in reasons), "the hub failed")
    said = str(error).strip().partition("\n")[0][:300]
    return f"{reason} ({type(error).__name__}: {said!a})"


def _download(url: str, digest: str, name: str, limits: Limits) -> pathlib.Path:
    check_url(url)
    if digest and not (isinstance(digest, str) and re.fullmatch(DIGEST, digest)):
        raise ValueError(f'`digest` must be "sha256:" and 8 to 64 digits, "md5:" and 32, or "". Received: {digest!r}.')
    path = cache_folder() / check_name(name or urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2]))
    if is_there(path, url, digest):
        return path
    if offline():
        state = "another file than wanted lies in the cache" if path.exists() else "it is not in the cache"
        raise _error(path.name, url, path, f"{state}, and {OFFLINE}")
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path.with_name(f".{path.name}.lock"), part, limits):
            if not is_there(path, url, digest):  # brought by whom we waited for
                _bring(url, digest, path, part, limits)
    except TransferError as error:
        raise _error(path.name, url, path, str(error)) from error
    except OSError as error:
        reason = f"the folder {str(path.parent)!r} cannot be written ({error.strerror or error}); KERAS_RESNET_CACHE names another"
        raise _error(path.name, url, path, reason) from error
    return path


def _bring(url: str, digest: str, path: pathlib.Path, part: pathlib.Path, limits: Limits) -> None:
    """Puts the file into its place; by whoever holds the lock."""
    sweep(path.parent)
    joined = transfer(url, part, limits)
    try:
        if joined and not fits(part, digest):  # what was there before may have been spoilt on the disk
            discard(part)
            transfer(url, part, limits)
        if not fits(part, digest):
            found = sum_of(part, digest.partition(":")[0])
            raise TransferError(f"what came is another file, or damaged, and was deleted (wanted {digest}, received {found})")
        os.replace(part, path)
    finally:
        discard(part)
    with contextlib.suppress(OSError):  # where folders cannot be opened
        settle(path.parent)
    remember(path, url, digest)


def _error(name: str, source: str, place: pathlib.Path, reason: str) -> DownloadError:
    return DownloadError(
        f"The weights file {name!r} could not be downloaded from {source}: {reason}. "
        f"Get it by other means and put it at {str(place)!r}, or build the network by its name alone with weights=None."
    )


@contextlib.contextmanager
def _lock(path: pathlib.Path, part: pathlib.Path, limits: Limits) -> Iterator[None]:
    """One process at a time. Others wait for as long as the part grows."""
    import filelock

    lock, seen, said, since = filelock.FileLock(path), None, False, time.monotonic()
    while True:
        try:
            lock.acquire(timeout=min(1.0, limits.lock / 4), poll_interval=0.05)
            break
        except filelock.Timeout:
            if not said and sys.stderr is not None:
                print(f"keras_resnet: waiting for another process that downloads {part.name[1:-5]!r}", file=sys.stderr)
                said = True
            with contextlib.suppress(OSError):
                if (size := part.stat().st_size) != seen:
                    seen, since = size, time.monotonic()
            if time.monotonic() - since > limits.lock:
                reason = f"another process holds {str(path)!r} and has brought nothing for {limits.lock:g} s; end it if it hangs"
                raise TransferError(reason) from None
    try:
        yield
    finally:
        # While it is held: whoever locks a file that has lost its name asks again. On Windows a file in use keeps its name.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
