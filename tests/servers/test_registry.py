"""The list of models and transports is the list of files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import servers.models
import servers.wire
from servers import registry
from servers.config import ServerConfig, UsageError


def test_every_file_of_the_folder_is_listed_by_its_name() -> None:
    folder = Path(str(servers.models.__file__)).parent
    files = {file.stem for file in folder.iterdir() if not file.name.startswith("_")}
    assert set(registry.names(servers.models)) == files
    assert {"fork", "thread", "selectors", "asyncio", "hybrid"} <= files


def test_a_name_with_an_underscore_is_not_listed() -> None:
    assert "_message" not in registry.names(servers.wire)
    assert "tcp" in registry.names(servers.wire)


def test_an_unknown_model_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match="there is no model 'forks'; there are: asyncio, fork"):
        registry.load_model("forks")


def test_a_new_file_is_a_new_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "coroutine.py").write_text("SUMMARY = 'made up'\n")
    monkeypatch.setattr(servers.models, "__path__", [*servers.models.__path__, str(tmp_path)])
    entry = next(entry for entry in registry.entries(servers.models) if entry.name == "coroutine")
    assert (entry.summary, entry.available) == ("made up", True)
    sys.modules.pop("servers.models.coroutine")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import a_missing_package.part\n",
            "the package a_missing_package is not installed; pip install a_missing_package",
        ),
        ("from json import no_such_name\n", "cannot import name 'no_such_name' from 'json'"),
        ("SUMMARY = 'x'\ndef unavailable():\n    return 'no kqueue here'\n", "no kqueue here"),
    ],
)
def test_what_the_machine_rules_out_is_listed_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    (tmp_path / "ruled_out.py").write_text(source)
    monkeypatch.setattr(servers.models, "__path__", [*servers.models.__path__, str(tmp_path)])
    entry = next(entry for entry in registry.entries(servers.models) if entry.name == "ruled_out")
    assert not entry.available
    assert (entry.reason or "").startswith(reason)
    with pytest.raises(UsageError, match="is not available here"):
        registry.load_model("ruled_out")
    sys.modules.pop("servers.models.ruled_out", None)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (ServerConfig("fork", workers=2), "--workers has no meaning for the model fork; it goes with hybrid"),
        (ServerConfig("asyncio", selector="poll"), "--selector has no meaning for the model asyncio"),
        (
            ServerConfig("thread", loop="uvloop"),
            "--loop has no meaning for the model thread; it goes with asyncio, hybr",
        ),
        (ServerConfig("selectors", api="streams"), "--api has no meaning for the model selectors"),
        (ServerConfig("asyncio", "udp", api="streams"), "--api has no meaning over udp"),
        (ServerConfig("fork", "udp", backlog=9), "--backlog has no meaning over udp; it goes with tcp"),
        (ServerConfig("fork", "udp", max_connections=9), "--max-connections has no meaning over udp"),
        (ServerConfig("fork", "udp", message_timeout_s=9), "--message-timeout has no meaning over udp"),
        (ServerConfig("fork", max_peers=9), "--max-peers has no meaning over tcp; it goes with udp"),
        (ServerConfig("fork", peer_timeout_s=9), "--peer-timeout has no meaning over tcp"),
        (ServerConfig("fork", recv_buffer=9), "--recv-buffer has no meaning over tcp"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_a_sentence(config: ServerConfig, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        registry.check(config)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    "config",
    [
        ServerConfig("hybrid", workers=2, loop="asyncio", api="streams"),
        ServerConfig("selectors", "udp", selector="poll"),
        ServerConfig("selectors", "udp", max_peers=5, peer_timeout_s=1.0, recv_buffer=4096),
        ServerConfig("fork", max_connections=5, backlog=5, message_timeout_s=0.0),
    ],
)
def test_settings_that_go_together_are_taken(config: ServerConfig) -> None:
    registry.check(config)


def test_a_variant_that_the_platform_lacks_is_listed_and_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("selectors.KqueueSelector", raising=False)
    kqueue = next(variant for variant in registry.variants("selectors") if "kqueue" in variant.options)
    assert (kqueue.available, kqueue.reason) == (False, "this platform has no kqueue()")
    with pytest.raises(UsageError, match=r"--selector kqueue is not available here: this platform has no kqueue\(\)"):
        registry.check(ServerConfig("selectors", selector="kqueue"))


def test_a_package_that_is_not_installed_rules_its_variant_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="--loop uvloop is not available here: the package uvloop is not installed"):
        registry.check(ServerConfig("asyncio", loop="uvloop"))


def test_a_server_without_the_package_lists_websocket_as_unavailable_and_serves_the_rest(tmp_path: Path) -> None:
    """A folder that hides the package stands for an interpreter that has none."""
    (tmp_path / "websockets.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'websockets'\", name='websockets')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    root = Path(__file__).resolve().parents[2]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "servers", *options]
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=30
        )

    listing = {entry["name"]: entry for entry in json.loads(run("--list", "--json").stdout)["transports"]}
    assert listing["tcp"]["available"]
    assert listing["ws"]["reason"] == "the package websockets is not installed; pip install websockets"
    refused = run("--model", "asyncio", "--transport", "ws")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "transport 'ws' is not available here: the package websockets is not installed" in refused.stderr


def test_the_other_transports_do_not_import_the_package() -> None:
    lines = "from servers import registry; registry.load_transport('tcp'); registry.load_transport('udp')"
    done = subprocess.run(
        [sys.executable, "-c", f"{lines}; import sys; print('websockets' in sys.modules)"],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == "False\n"
