"""What hybrid may have inside, and what goes with it."""

import pytest

from servers import registry
from servers.config import ServerConfig, UsageError
from servers.contract import Kind
from servers.lifecycle import effective_settings, open_sockets, ready_line
from servers.models import hybrid


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            ServerConfig("hybrid", inner="selectors", loop="asyncio"),
            "--loop has no meaning with --inner selectors; it goes with --inner asyncio",
        ),
        (
            ServerConfig("hybrid", inner="thread", api="streams"),
            "--api has no meaning with --inner thread; it goes with --inner asyncio",
        ),
        (
            ServerConfig("hybrid", selector="poll"),
            "--selector has no meaning with --inner asyncio; it goes with --inner selectors",
        ),
        (
            ServerConfig("hybrid", inner="thread", selector="poll"),
            "--selector has no meaning with --inner thread; it goes with --inner selectors",
        ),
        (
            ServerConfig("hybrid", "udp", inner="thread"),
            "--inner thread has no meaning over udp; it goes with tcp, ws",
        ),
        (ServerConfig("asyncio", inner="thread"), "--inner has no meaning for the model asyncio; it goes with hybrid"),
        (ServerConfig("fork", accept="shared"), "--accept has no meaning for the model fork; it goes with hybrid"),
        (ServerConfig("fork", accept="own"), "--accept has no meaning for the model fork; it goes with hybrid"),
    ],
)
def test_what_contradicts_each_other_is_refused_with_a_sentence(config: ServerConfig, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        registry.check(config)
    assert str(refused.value) == sentence


def test_a_selector_that_the_platform_lacks_is_refused_inside_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("selectors.KqueueSelector", raising=False)
    with pytest.raises(UsageError, match=r"--selector kqueue is not available here: this platform has no kqueue\(\)"):
        registry.check(ServerConfig("hybrid", inner="selectors", selector="kqueue"))


@pytest.mark.parametrize(
    "config",
    [
        ServerConfig("hybrid", inner="asyncio", accept="own", loop="asyncio", api="streams"),
        ServerConfig("hybrid", inner="selectors", selector="poll", accept="shared"),
        ServerConfig("hybrid", "udp", inner="selectors", selector="select", accept="shared"),
        ServerConfig("hybrid", inner="thread", accept="shared", workers=3),
    ],
)
def test_what_goes_together_is_taken(config: ServerConfig) -> None:
    registry.check(config)


def test_what_is_inside_is_a_variant_over_the_transports_that_can_have_it() -> None:
    listed = {variant.options: variant.transports for variant in registry.variants("hybrid")}
    assert "udp" in listed["--inner", "selectors"]
    assert "tcp" in listed["--inner", "thread"]
    assert "udp" not in listed["--inner", "thread"]
    assert {"tcp", "udp"} <= set(listed["--accept", "shared"])
    assert not any(option == "--selector" for option, _ in listed), "it has no meaning by itself"


@pytest.mark.parametrize(("accept", "sockets"), [(None, 3), ("own", 3), ("shared", 1)])
@pytest.mark.parametrize(("transport", "kind"), [("tcp", Kind.STREAM), ("udp", Kind.DATAGRAM)])
def test_workers_have_a_socket_each_or_one_for_all(
    accept: str | None, sockets: int, transport: str, kind: Kind
) -> None:
    config = ServerConfig("hybrid", transport, workers=3, accept=accept)
    opened = open_sockets(hybrid, kind, config)
    try:
        assert len(opened) == sockets
        assert effective_settings(hybrid, config, opened[0])["accept"] == (accept or "own")
    finally:
        for each in opened:
            each.close()


@pytest.mark.parametrize(
    ("config", "parallelism", "settings"),
    [
        (
            ServerConfig("hybrid", workers=3),
            3,
            {"inner": "asyncio", "accept": "own", "loop": "asyncio", "api": "buffered", "selector": None},
        ),
        (
            ServerConfig("hybrid", workers=3, inner="selectors", selector="poll"),
            3,
            {"inner": "selectors", "loop": None, "api": None, "selector": "poll"},
        ),
        (
            ServerConfig("hybrid", workers=3, inner="thread"),
            None,
            {"inner": "thread", "loop": None, "api": None, "selector": None},
        ),
    ],
)
def test_the_ready_line_says_what_is_inside(
    config: ServerConfig, parallelism: int | None, settings: dict[str, object]
) -> None:
    (listener,) = open_sockets(hybrid, Kind.STREAM, ServerConfig("hybrid", accept="shared"))
    with listener:
        said = ready_line(hybrid, config, listener)
    assert said["parallelism"] == parallelism
    assert said["config"]["workers"] == 3
    assert {name: said["config"][name] for name in settings} == settings


def test_select_inside_holds_the_workers_to_the_descriptors_that_it_can_tell_apart() -> None:
    assert hybrid.most_descriptors(ServerConfig("hybrid", inner="selectors", selector="select")) == 1024
    assert hybrid.most_descriptors(ServerConfig("hybrid", inner="selectors", selector="poll")) is None
    assert hybrid.most_descriptors(ServerConfig("hybrid")) is None
