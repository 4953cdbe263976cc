"""The opening handshake of the tiny WebSocket server: the head of a request in, the head of an answer out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import ClassVar

MOST_HEAD_BYTES = 8_192
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SUBPROTOCOL = "echobench.v1"
REQUEST_LINE = re.compile(r"([!-~]+) ([!-~]+) HTTP/(1\.[01])")
TARGET = re.compile(r"(?:http://[^/?#]+)?(/[^#]*)", re.IGNORECASE)
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~%-]*)(?::[0-9]*)?")
HEADER_LINE = re.compile(r"([!#-'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
REASONS = {200: "OK", 400: "Bad Request", 405: "Method Not Allowed", 414: "URI Too Long", 426: "Upgrade Required"}
REASONS |= {431: "Request Header Fields Too Large", 505: "HTTP Version Not Supported"}


class Refused(Exception):  # noqa: N818 - what happened, and no error of the server's
    """A request that is answered with an HTTP status and no upgrade; further headers of the answer."""

    def __init__(self, status: int, *headers: str) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers


class Opening:
    """Reads one request and answers it. A fault is a subclass that overrides one method."""

    most_headers: ClassVar[int] = 128

    def __init__(self) -> None:
        self.method = ""

    def judge_size(self, held: bytes) -> None:
        """Raise Refused when a head that has not ended is longer than it may be."""
        end = held.find(b"\r\n\r\n")
        if b"\r\n" not in held[:MOST_HEAD_BYTES] and len(held) > MOST_HEAD_BYTES:
            raise Refused(414)
        if (len(held) if end < 0 else end + 4) > MOST_HEAD_BYTES:
            raise Refused(431)

    def answer(self, head: str) -> tuple[str, str | None]:
        """Return the 101 to a request and the subprotocol that it selects; raises Refused."""
        line, *lines = head.split("\r\n")
        if len(lines) > self.most_headers:
            raise Refused(431)
        headers = self.headers(lines)
        request = REQUEST_LINE.fullmatch(line)
        if request is None:
            raise Refused(400)
        self.method = request[1]
        self.judge_hosts(request[3], headers.get("host", []))
        self.judge(request[1], self.path_of(request[2]), request[3], headers)
        selected = self.select(self.tokens(headers, "sec-websocket-protocol"))
        said = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {self.accept(headers)}"]
        said += [f"Sec-WebSocket-Protocol: {selected}"] if selected else []
        return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *said, *self.extensions(headers), "", ""]), selected

    def headers(self, lines: list[str]) -> dict[str, list[str]]:
        """Return the values of each header by its name in lower case; raises Refused for a line that is none."""
        found: dict[str, list[str]] = {}
        for line in lines:
            if (header := HEADER_LINE.fullmatch(line)) is None:
                raise Refused(400)
            found.setdefault(header[1].lower(), []).append(header[2])
        return found

    def judge_hosts(self, version: str, hosts: list[str]) -> None:
        """Raise Refused when there is not one host, or what is none."""
        if len(hosts) > 1 or (not hosts and version == "1.1") or not all(map(HOST.fullmatch, hosts)):
            raise Refused(400)

    def path_of(self, target: str) -> str:
        """Return the path of a path or a URL, without a query; raises Refused for what is neither."""
        found = TARGET.fullmatch(target)
        if found is None:
            raise Refused(400)
        return found[1].partition("?")[0]

    def judge(self, method: str, path: str, version: str, headers: dict[str, list[str]]) -> None:
        """Raise Refused when a request is no opening handshake."""
        wants = "upgrade" in self.tokens(headers, "connection", str.lower)
        wants = wants and self.tokens(headers, "upgrade", str.lower) == ["websocket"]
        if path == "/healthz" and method in {"GET", "HEAD"} and not wants:
            raise Refused(200)
        if version != "1.1":
            raise Refused(505)
        if method != "GET":
            raise Refused(405, "Allow: GET")
        if not wants:
            raise Refused(426, "Upgrade: websocket")
        self.judge_version(headers.get("sec-websocket-version", []))
        self.judge_key(headers.get("sec-websocket-key", []))

    def judge_version(self, versions: list[str]) -> None:
        """Raise Refused when the version of the protocol is another one."""
        if versions != ["13"]:
            raise Refused(426, "Sec-WebSocket-Version: 13")

    def judge_key(self, keys: list[str]) -> None:
        """Raise Refused when there is not one key, of 16 bytes."""
        try:
            sizes = [len(base64.b64decode(key, validate=True)) for key in keys]
        except binascii.Error:
            sizes = []
        if sizes != [16]:
            raise Refused(400)

    def tokens(self, headers: dict[str, list[str]], name: str, change: type[str] | object = None) -> list[str]:
        """Return the comma-separated words of a header, each changed."""
        words = [word.strip() for value in headers.get(name, []) for word in value.split(",")]
        return [change(word) if callable(change) else word for word in words]

    def select(self, offered: list[str]) -> str | None:
        """Return the subprotocol that is selected."""
        return SUBPROTOCOL if SUBPROTOCOL in offered else None

    def accept(self, headers: dict[str, list[str]]) -> str:
        """Return the proof that the key was read."""
        key = headers["sec-websocket-key"][0]
        return base64.b64encode(hashlib.sha1(f"{key}{MAGIC}".encode()).digest()).decode()

    def extensions(self, _headers: dict[str, list[str]]) -> list[str]:
        """Return the header that negotiates extensions."""
        return []

    def refusal(self, refused: Refused) -> str:
        """Return the answer to a request that is no opening handshake."""
        reason = REASONS[refused.status]
        body = f"{reason}\n" if self.has_body() else ""
        said = [*refused.headers, f"Content-Length: {len(reason) + 1}", "Connection: close", "", body]
        return "\r\n".join([f"HTTP/1.1 {refused.status} {reason}", *said])

    def has_body(self) -> bool:
        """Tell whether an answer has a body."""
        return self.method != "HEAD"
