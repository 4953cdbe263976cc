"""Opening handshakes that are none, each with the answer that HTTP and RFC 6455 have for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .ws_bytes import HEADERS, KEY, hello, parsed_head

MOST_HEAD_BYTES = 8_192


@dataclass(frozen=True)
class BadRequest:
    """A request, the status codes that may answer it, headers that the answer has to have, whether it has a body."""

    name: str
    sent: bytes
    statuses: tuple[int, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    has_body: bool = True


def without(name: str, *more: tuple[str, str]) -> bytes:
    """Return an opening handshake that lacks a header, with others behind it."""
    return hello(*more, headers=tuple(header for header in HEADERS if header[0] != name))


def with_key(key: str) -> bytes:
    """Return an opening handshake with another key."""
    return without("Sec-WebSocket-Key", ("Sec-WebSocket-Key", key))


def with_host(host: str) -> bytes:
    """Return an opening handshake with another host."""
    return without("Host", ("Host", host))


def plain_get(path: str = "/", version: str = "1.1", method: str = "GET") -> bytes:
    """Return a request that asks for no upgrade."""
    return f"{method} {path} HTTP/{version}\r\nHost: server.example.com\r\n\r\n".encode()


def with_headers(count: int) -> bytes:
    """Return an opening handshake with so many headers, all of them short."""
    return hello(*((f"X-{number}", "x") for number in range(count - len(HEADERS))))


def padded(size: int) -> bytes:
    """Return an opening handshake of a size, padded in two headers."""
    first, second = ("X-First", "a" * 3_000), ("X-Second", "")
    missing = size - len(hello(first, second))
    return hello(first, ("X-Second", "b" * missing))


UPGRADE = {"upgrade": "websocket"}
PLAIN_REQUESTS = (
    BadRequest("a plain GET", plain_get(), (426,), UPGRADE),
    BadRequest("a plain GET of a path", plain_get("/index.html"), (426,), UPGRADE),
    BadRequest("a GET without Upgrade", without("Upgrade"), (426,), UPGRADE),
    BadRequest("a GET without Connection", without("Connection"), (426,), UPGRADE),
    BadRequest("an upgrade to something else", without("Upgrade", ("Upgrade", "h2c")), (426,), UPGRADE),
    BadRequest("a connection to be kept alone", without("Connection", ("Connection", "keep-alive")), (426,), UPGRADE),
)
BAD_METHODS = tuple(
    BadRequest(f"the method {method}", hello().replace(b"GET", method.encode(), 1), (405,), {"allow": "GET"})
    for method in ("POST", "PUT", "OPTIONS", "DELETE")
)
HEADS = (
    BadRequest("the method HEAD", hello().replace(b"GET", b"HEAD", 1), (405,), {"allow": "GET"}, has_body=False),
    BadRequest("a plain HEAD", plain_get(method="HEAD"), (405, 426), has_body=False),
    BadRequest("a HEAD of no path", plain_get("foo", method="HEAD"), (400,), has_body=False),
)
BAD_HOSTS = (
    BadRequest("no Host", without("Host"), (400,)),
    BadRequest("a plain GET without a Host", b"GET / HTTP/1.1\r\n\r\n", (400,)),
    BadRequest("/healthz without a Host", b"GET /healthz HTTP/1.1\r\n\r\n", (400,)),
    BadRequest("two Hosts", hello(("Host", "server.example.com")), (400,)),
    *(
        BadRequest(f"the Host {host}", with_host(host), (400,))
        for host in ("two words", "a/path", "http://server.example.com", "user@server", "server:port", "[::1", "a,b c")
    ),
)
BAD_TARGETS = tuple(
    BadRequest(f"{what} of the target {target}", sent, (400,))
    for target in ("foo", "*", "server.example.com:80", "?query")
    for what, sent in (("an opening handshake", hello(path=target)), ("a plain GET", plain_get(target)))
)
BAD_VERSIONS = (
    BadRequest("HTTP/1.0", hello().replace(b"HTTP/1.1", b"HTTP/1.0", 1), (505,)),
    BadRequest("a plain GET over HTTP/1.0", plain_get(version="1.0"), (505,)),
    *(
        BadRequest(
            f"version {version} of the protocol",
            without("Sec-WebSocket-Version", ("Sec-WebSocket-Version", version)),
            (426,),
            {"sec-websocket-version": "13"},
        )
        for version in ("8", "7", "12", "14", "130", "x")
    ),
    BadRequest("no version of the protocol", without("Sec-WebSocket-Version"), (400, 426)),
)
BAD_KEYS = (
    BadRequest("no key", without("Sec-WebSocket-Key"), (400,)),
    BadRequest("an empty key", with_key(""), (400,)),
    BadRequest("a key of 15 bytes", with_key("AQIDBAUGBwgJCgsMDQ4P"), (400,)),
    BadRequest("a key of 17 bytes", with_key("AQIDBAUGBwgJCgsMDQ4PEBE="), (400,)),
    BadRequest("a key that is no base64", with_key("!" * 24), (400,)),
    BadRequest("two keys", hello(("Sec-WebSocket-Key", KEY)), (400,)),
)
NO_HTTP = (
    BadRequest("no HTTP", b"hello\r\n\r\n", (400,)),
    BadRequest("a wire message", bytes.fromhex("eb010101000000000d0a0d0a0d0a0d0a") + b"\r\n\r\n", (400,)),
    BadRequest("a greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
    BadRequest("a request without a version", b"GET /\r\n\r\n", (400,)),
    BadRequest("a header without a colon", b"GET / HTTP/1.1\r\nHost\r\n\r\n", (400,)),
    BadRequest("a header with a space in its name", b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", (400,)),
)
TOO_LARGE = (
    BadRequest("more than 8 KiB of headers", padded(MOST_HEAD_BYTES + 1), (431,)),
    BadRequest("a header of 20,000 bytes", hello(("X-Long", "x" * 20_000)), (431,)),
    BadRequest("headers without an end", b"GET / HTTP/1.1\r\n" + b"X-Padding: abcdefgh\r\n" * 1_000, (431,)),
    BadRequest("129 headers", with_headers(129), (431,)),
    BadRequest("600 headers", with_headers(600), (431,)),
    BadRequest("a line of 10,000 bytes", b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", (414,)),
    BadRequest("a line without an end", b"GET /" + b"x" * 10_000, (414,)),
)
BAD_REQUESTS = (
    *(*PLAIN_REQUESTS, *BAD_METHODS, *BAD_HOSTS, *BAD_TARGETS, *HEADS),
    *(*BAD_VERSIONS, *BAD_KEYS, *NO_HTTP, *TOO_LARGE),
)


def judge_answer(request: BadRequest, found: bytes) -> None:
    """Check that what came is one whole HTTP answer that ends its connection, with a status and headers as asked."""
    head, end, body = found.partition(b"\r\n\r\n")
    rule = f"{request.name} is answered with {' or '.join(map(str, request.statuses))}"
    assert end, f"{rule}, found {found[:64]!r}"
    line, headers = parsed_head(head)
    version, _, status = line.partition(" ")
    assert version.startswith("HTTP/1."), f"{rule}, in HTTP: {line!r}"
    assert status[:3] in {str(code) for code in request.statuses}, f"{rule}, not {status!r}"
    assert headers.get("connection", "").lower() == "close", f"{rule} and Connection: close, not {headers}"
    if request.has_body:
        length = headers.get("content-length")
        assert length == str(len(body)), f"{rule}, Content-Length tells its {len(body)} bytes, not {length}"
    else:
        assert not body, f"{rule} and no body, not {body[:64]!r}"
    for name, value in request.headers.items():
        assert headers.get(name) == value, f"{rule} and {name}: {value}, not {headers}"
