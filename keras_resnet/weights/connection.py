"""One answer to one question over https: redirections, proxies, certificates, and an end to whatever takes too long."""

import base64
import contextlib
import dataclasses
import http.client
import os
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

REDIRECTS = 5
CHUNK = 2**18


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server may take: seconds, bytes and attempts."""

    connect: float = 10  # seconds to a connection, and again to its encryption
    read: float = 20  # seconds without a byte
    stall: float = 60  # seconds in which an answer has to start, and then again `least` bytes to come
    least: int = 2**16
    most_bytes: int = 4 * 2**30
    attempts: int = 4
    backoff: float = 1  # seconds before the second attempt, then twice as many each time
    longest_wait: float = 60  # a server that asks for more (Retry-After) is not asked again
    lock: float = 600  # seconds that another process's transfer may stand still


class TransferError(Exception):
    """Why a file did not come, in words. No `OSError`, since those are what it is made from."""


class PassingError(Exception):
    """What may be over at the next attempt, and after how many seconds the server says it is."""

    def __init__(self, reason: str, seconds: float | None = None):
        super().__init__(reason)
        self.seconds = seconds


def check_url(url: Any, of: str = "`url`") -> str:
    """The URL itself. Raises `ValueError` where it is no https URL of a host."""
    try:
        parts = urllib.parse.urlsplit(url) if isinstance(url, str) and len(url) <= 4096 and re.fullmatch(r"[!-~]+", url) else None
        if parts and parts.scheme == "https" and parts.hostname and parts.port != 0 and "@" not in parts.netloc and "\\" not in url:
            return url
    except ValueError:  # no number as port, a broken IPv6 address
        pass
    raise ValueError(
        f"{of} must be an https:// URL of a host, without user name, spaces or control characters. Received: {str(url)[:200]!r}."
    )


def _said(error: Exception) -> str:
    """The kind of an error and its text, which may be the server's and so is shortened and shown without control characters."""
    text = str(getattr(error, "strerror", None) or error)[:200]
    return f"{type(error).__name__}: {text!a}" if text else type(error).__name__


class Answer:
    """What a server answered: its status, its headers, and its content as it comes.

    Args:
        response: of `http.client`.
        watch: over the connection.
        limits: what the server may take.
    """

    def __init__(self, response: Any, watch: "_Watch", limits: Limits):
        self.status: int = response.status
        self.length: int | None = response.length  # of the content, where it is said before
        self.ends = response.length is not None or bool(response.chunked)  # whether its end can be told from a broken connection
        self._response, self._watch, self._limits, self._counted = response, watch, limits, 0

    def header(self, name: str) -> str:
        """The header of that name, empty if there is none."""
        return self._response.getheader(name, "")

    def read(self) -> bytes:
        """The next bytes, none at the end. Raises `PassingError` where the connection broke or too little comes."""
        try:
            chunk = self._response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise PassingError(self._watch.reason() or f"the connection broke ({_said(error)})") from error
        if not chunk and self._watch.expired:
            raise PassingError(self._watch.reason())
        self._counted += len(chunk)
        if self._counted >= self._limits.least:
            self._counted = 0
            self._watch.extend()
        return chunk


@contextlib.contextmanager
def answer(url: str, headers: dict[str, str], limits: Limits) -> Iterator[Answer]:
    """The answer behind all redirections. Raises `TransferError` or `PassingError`."""
    for _ in range(REDIRECTS + 1):
        with contextlib.closing(_connection(url, limits)) as connection:
            _connect(connection, urllib.parse.urlsplit(url).hostname or "")
            connection.sock.settimeout(limits.read)
            with _Watch(connection.sock, limits.stall) as watch:
                parts = urllib.parse.urlsplit(url)
                try:
                    connection.request("GET", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", headers=headers)
                    response = connection.getresponse()
                except (OSError, http.client.HTTPException) as error:
                    raise PassingError(watch.reason() or f"no answer ({_said(error)})") from error
                with contextlib.closing(response):
                    if watch.expired:  # in its headers, of which what came looks like all
                        raise PassingError(watch.reason())
                    if response.status not in (301, 302, 303, 307, 308):
                        yield Answer(response, watch, limits)
                        return
                    url = _redirected(url, response.getheader("Location", ""))
    raise TransferError(f"the server redirects more than {REDIRECTS} times")


def _connect(connection: http.client.HTTPSConnection, host: str) -> None:
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        raise TransferError(f"the server's certificate is not trusted ({_said(error)})") from error
    except socket.gaierror as error:  # what a machine without network says; asking again takes seconds and does not help
        raise TransferError(f"the host {host!r} is not found ({_said(error)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise PassingError(f"no connection to {host!r} ({_said(error)})") from error


def _redirected(url: str, location: str) -> str:
    try:
        return check_url(urllib.parse.urljoin(url, urllib.parse.quote(location, safe="!#$%&'()*+,/:;=?@[]~")), "the target")
    except ValueError as error:
        raise TransferError(f"the server redirects to what is not asked: {error}") from error


def _connection(url: str, limits: Limits) -> http.client.HTTPSConnection:
    """A connection that trusts what the system and SSL_CERT_FILE do, through the proxy that the environment names."""
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.create_default_context()
    if sys.platform == "darwin" and "SSL_CERT_FILE" not in os.environ:  # python.org's Python for macOS comes without certificates
        with contextlib.suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    proxy = urllib.request.getproxies().get("https")
    if not proxy or urllib.request.proxy_bypass(host):
        return http.client.HTTPSConnection(host, port, timeout=limits.connect, context=context)
    way = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if way.scheme != "http" or not way.hostname:
        raise TransferError("the proxy that the environment names (https_proxy) is not of the form http://host:port")
    connection = http.client.HTTPSConnection(way.hostname, way.port or 80, timeout=limits.connect, context=context)
    user = urllib.parse.unquote(way.netloc.rpartition("@")[0])
    secret = {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    connection.set_tunnel(host, port, secret)
    return connection


class _Watch:
    """Ends a connection over which too little comes. A socket's own timeout starts again with every byte, and so never ends a drip."""

    def __init__(self, connected: Any, seconds: float):
        self.expired = False
        self._socket, self._seconds, self._done = connected, seconds, threading.Event()
        self.extend()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def extend(self) -> None:
        self._deadline = time.monotonic() + self._seconds

    def reason(self) -> str:
        return f"the server sent too little for {self._seconds:g} s" if self.expired else ""

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(max(0.0, self._deadline - time.monotonic())):
            if time.monotonic() >= self._deadline:
                self.expired = True
                # The plain socket's: that of a TLS socket drops the encryption, and what is read next would be its bytes.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                return
