"""A server on 127.0.0.1, over TLS or plain, that answers each request as the test says: rightly, not at all, or with lies."""

import contextlib
import datetime
import email.utils
import http.server
import ipaddress
import pathlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CONTENT = bytes(i * i % 251 for i in range(100_000))
OTHER = bytes(i * i % 241 for i in range(100_000))
TAG = '"first"'
Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads one request, notes it, and gives the next of the server's answers; the last one again and again."""

    server: "Server"

    def do_GET(self) -> None:
        with self.server.counting:
            self.server.requests.append((self.command, self.path, dict(self.headers)))
            answer = self.server.answers[0] if len(self.server.answers) == 1 else self.server.answers.pop(0)
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client may go whenever it likes
            answer(self)

    do_HEAD = do_GET

    def head(self, status: int = 200, **headers: str | int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def send(self, content: bytes) -> None:
        self.wfile.write(content)
        self.server.sent += len(content)

    def wait(self) -> None:
        """Says nothing more until the test is over."""
        self.server.over.wait(30)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """What was asked (`requests`, each as method, path and headers), and how many bytes of content went out (`sent`)."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, certificate: pathlib.Path | None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.answers: list[Answer] = [whole()]
        self.sent = 0
        self.counting, self.over = threading.Lock(), threading.Event()
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self.scheme = "https"

    def url(self, path: str = "/weights.h5") -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that does not trust the certificate, or goes


@contextlib.contextmanager
def serving(certificate: pathlib.Path | None = None) -> Iterator[Server]:
    """A server for the length of a test."""
    server = Server(certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificate(path: pathlib.Path) -> pathlib.Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file. To a client that names it in SSL_CERT_FILE it is trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"),
        False,
    )
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind = serialization.Encoding.PEM
    secret = key.private_bytes(kind, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(kind) + secret)
    return path


# What a server can do. Each gives one answer to one request.


def whole(content: bytes = CONTENT, tag: str = TAG, stop: int | None = None, hang: bool = False, **headers: str) -> Answer:
    """All that was asked for, as a good server has it: the rest where a part is asked for and still is a part of it.

    `stop` breaks the connection off after so many bytes of the content, and `hang` leaves it open there.
    """

    def answer(handler: Handler) -> None:
        asked, start = handler.headers.get("Range"), 0
        named = dict(ETag=tag, **headers) if tag else headers
        if asked and handler.headers.get("If-Range") in (tag, headers.get("Last_Modified")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            handler.head(
                206, Content_Length=len(content) - start, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}", **named
            )
        else:
            handler.head(200, Content_Length=len(content), **named)
        handler.send(content[start:stop])
        if hang:
            handler.wait()

    return answer


def status(number: int, **headers: str | int) -> Answer:
    return lambda handler: handler.head(number, Content_Length=0, **headers)


def redirect(location: str) -> Answer:
    return status(302, Location=location)


def says(content: bytes = CONTENT, number: int = 200, **headers: str | int) -> Answer:
    """This content under these headers, whatever was asked."""

    def answer(handler: Handler) -> None:
        handler.head(number, **headers)
        handler.send(content)

    return answer


def silent(handler: Handler) -> None:
    """Takes the request and says nothing."""
    handler.wait()


def drips(head: bytes) -> Answer:
    """`head`, and then a byte every 50 ms for as long as the client listens."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(head)
        while not handler.server.over.is_set():
            handler.wfile.write(b"x")
            time.sleep(0.05)

    return answer


def endless(handler: Handler) -> None:
    """Chunks, which need not say how many will come."""
    handler.protocol_version = "HTTP/1.1"
    handler.head(200, Transfer_Encoding="chunked", ETag=TAG)
    while not handler.server.over.is_set():
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(CONTENT), CONTENT))
        handler.server.sent += len(CONTENT)


def chunked(handler: Handler) -> None:
    """The content in two chunks, and the end."""
    handler.protocol_version = "HTTP/1.1"
    handler.head(200, Transfer_Encoding="chunked")
    half = len(CONTENT) // 2
    for piece in (CONTENT[:half], CONTENT[half:], b""):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


def in_seconds(seconds: float) -> str:
    """A date from now, as HTTP writes it."""
    return email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds), usegmt=True)


@contextlib.contextmanager
def tunnelling() -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that only knows CONNECT: its port, and the heads of what it was asked."""
    heads: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client:
                heads.append(client.recv(65536))
                host, _, port = heads[0].split()[1].decode().partition(":")
                with socket.create_connection((host, int(port))) as target:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=copy, args=(target, client), daemon=True)
                    back.start()
                    copy(client, target)
                    back.join()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        listener.close()
        thread.join(2)
