"""The list of models and transports is the list of files."""

import sys
from pathlib import Path

import pytest

import servers.models
import servers.wire
from servers import registry
from servers.config import UsageError


def test_every_file_of_the_folder_is_listed_by_its_name() -> None:
    folder = Path(str(servers.models.__file__)).parent
    files = {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}
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
        ("import a_package_that_is_missing\n", "No module named 'a_package_that_is_missing'"),
        ("SUMMARY = 'x'\ndef unavailable():\n    return 'no kqueue here'\n", "no kqueue here"),
    ],
)
def test_what_the_machine_rules_out_is_listed_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    (tmp_path / "ruled_out.py").write_text(source)
    monkeypatch.setattr(servers.models, "__path__", [*servers.models.__path__, str(tmp_path)])
    entry = next(entry for entry in registry.entries(servers.models) if entry.name == "ruled_out")
    assert (entry.available, entry.reason) == (False, reason)
    with pytest.raises(UsageError, match="is not available here"):
        registry.load_model("ruled_out")
    sys.modules.pop("servers.models.ruled_out", None)
