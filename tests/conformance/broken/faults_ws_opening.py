"""Faults of the opening handshake: each class is an `Opening` or a `WsEcho` with one of them."""

from __future__ import annotations

from tiny_ws_opening import Opening, Refused
from tiny_ws_wire import WsEcho


class TellsHeadersByTheirCase(Opening):
    def headers(self, lines: list[str]) -> dict[str, list[str]]:
        kept = [line for line in lines if line[:1] != line[:1].lower()]
        return super().headers(kept)


class KnowsOnlyOneConnectionOption(Opening):
    def headers(self, lines: list[str]) -> dict[str, list[str]]:
        return super().headers([line.replace("keep-alive, Upgrade", "keep-alive") for line in lines])


class NegotiatesCompression(Opening):
    def extensions(self, headers: dict[str, list[str]]) -> list[str]:
        offered = "sec-websocket-extensions" in headers
        return ["Sec-WebSocket-Extensions: permessage-deflate"] if offered else []


class SelectsNoSubprotocol(Opening):
    def select(self, offered: list[str]) -> str | None:
        return None


class SelectsWhateverIsOffered(Opening):
    def select(self, offered: list[str]) -> str | None:
        return offered[0] if offered else None


class ProvesNothing(Opening):
    def accept(self, headers: dict[str, list[str]]) -> str:
        return headers["sec-websocket-key"][0]


class TakesAnyVersion(Opening):
    def judge_version(self, versions: list[str]) -> None:
        pass


class TellsNoVersion(Opening):
    def judge_version(self, versions: list[str]) -> None:
        if versions != ["13"]:
            raise Refused(426)


class TakesAnyKey(Opening):
    def judge_key(self, keys: list[str]) -> None:
        if not keys:
            raise Refused(400)


class TakesAnyMethod(Opening):
    def judge(self, method: str, path: str, version: str, headers: dict[str, list[str]]) -> None:
        super().judge("GET", path, version, headers)


class UpgradesHttp10(Opening):
    def judge(self, method: str, path: str, version: str, headers: dict[str, list[str]]) -> None:
        super().judge(method, path, "1.1", headers)


class NeedsNoHost(Opening):
    def judge_hosts(self, version: str, hosts: list[str]) -> None:
        super().judge_hosts("1.0", hosts)


class TakesTheFirstOfTwoHosts(Opening):
    def judge_hosts(self, version: str, hosts: list[str]) -> None:
        super().judge_hosts(version, hosts[:1])


class TakesAnythingForAHost(Opening):
    def judge_hosts(self, version: str, hosts: list[str]) -> None:
        super().judge_hosts(version, ["host" for _ in hosts])


class KnowsHostsByNameOnly(Opening):
    def judge_hosts(self, version: str, hosts: list[str]) -> None:
        super().judge_hosts(version, [host.replace("[", "/") for host in hosts])


class TakesAnythingForAPath(Opening):
    def path_of(self, target: str) -> str:
        return super().path_of(f"/{target}" if "/" not in target else target)


class KnowsPathsOnly(Opening):
    def path_of(self, target: str) -> str:
        if not target.startswith("/"):
            raise Refused(400)
        return super().path_of(target)


class TakesAUrlForAPath(Opening):
    def path_of(self, target: str) -> str:
        super().path_of(target)
        return target.partition("?")[0]


class SendsABodyToAHead(Opening):
    def has_body(self) -> bool:
        return True


class TakesAHundredHeaders(Opening):
    most_headers = 100


class TakesAnyNumberOfHeaders(Opening):
    most_headers = 1 << 62


class ReadsHeadersWithoutBound(Opening):
    def judge_size(self, held: bytes) -> None:
        pass


class HasNoHealthPage(Opening):
    def judge(self, method: str, path: str, version: str, headers: dict[str, list[str]]) -> None:
        super().judge(method, "/", version, headers)


class HasNoHealthPageForHttp10(Opening):
    def judge(self, method: str, path: str, version: str, headers: dict[str, list[str]]) -> None:
        super().judge(method, path if version == "1.1" else "/", version, headers)


class HasNoHealthPageForHead(Opening):
    def judge(self, method: str, path: str, version: str, headers: dict[str, list[str]]) -> None:
        super().judge(method, path if method == "GET" else "/", version, headers)


class HasNoHealthPageForOtherUpgrades(Opening):
    def judge(self, method: str, path: str, version: str, headers: dict[str, list[str]]) -> None:
        super().judge(method, "/" if "upgrade" in headers else path, version, headers)


class TellsNoLength(Opening):
    def refusal(self, refused: Refused) -> str:
        return super().refusal(refused).replace("Content-Length", "X-Length")


class LeavesARefusedHandshakeOpen(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        if not self.is_open:
            self.closing = False
            if said:
                self.held.clear()
        return said


class AnswersWhatIsBehindABadHandshake(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        if self.closing and not self.is_open and b"\r\n\r\n" in self.held:
            self.held[:] = self.held.partition(b"\r\n\r\n")[2]
            self.closing = False
            said += super().receive(b"")
            self.closing = True
        return said


class DropsWhatCameWithTheHandshake(WsEcho):
    def open(self) -> bytes | None:
        said = super().open()
        if said is not None:
            self.held.clear()
        return said


class NeedsAWholeHandshakeAtOnce(WsEcho):
    def open(self) -> bytes | None:
        said = super().open()
        if said is None:
            self.held.clear()
        return said


class CountsNoBadHandshakes(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        self.protocol_errors *= self.is_open
        return said


class CountsTheHealthPage(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        self.protocol_errors += said.startswith(b"HTTP/1.1 200")
        return said


class AnswersHalfAHandshake(WsEcho):
    def receive_eof(self) -> bytes:
        super().receive_eof()
        return b"HTTP/1.1 400 Bad Request\r\n\r\n" if self.held and not self.is_open else b""


class CountsNoHalfHandshakes(WsEcho):
    def receive_eof(self) -> bytes:
        return super().receive_eof() if self.is_open else b""


class WaitsForHandshakesForEver(WsEcho):
    def is_partial(self) -> bool:
        return self.is_open and super().is_partial()
