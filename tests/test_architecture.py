"""Who may import whom: the four programs share bytes, not code."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"servers", "loadgen", "harness", "analysis"}
ALLOWED = {
    "servers": set(),
    "loadgen": {"servers.wire", "harness.schema"},
    "harness": set(),
    "analysis": {"harness.schema", "harness.store"},
}
WIRE_MAY_NOT = {"socket", "select", "selectors", "threading", "asyncio", "time"}
MAY_IMPORT_LOCUST = {"locustfile.py", "users.py"}


def imported(file: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(folder: str) -> list[Path]:
    """Return the Python files of a folder."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"{folder} has no Python files"
    return found


def within(module: str, allowed: set[str]) -> bool:
    """Tell whether a module is one of the allowed ones or inside one (or the package on the way to it)."""
    return any(module == name or module.startswith(f"{name}.") or name.startswith(f"{module}.") for name in allowed)


@pytest.mark.parametrize("package", sorted(OURS))
def test_a_package_imports_only_what_the_architecture_allows(package: str) -> None:
    wrong = []
    for file in files(package):
        allowed = ALLOWED[package] | {package}
        if file.parent == ROOT / "harness" and file.name.startswith("cli_"):
            allowed |= {"analysis"}
        wrong += [
            f"{file.relative_to(ROOT)} imports {module}"
            for module in imported(file)
            if module.split(".")[0] in OURS and not within(module, allowed)
        ]
    assert wrong == []


def test_the_servers_need_only_the_standard_library_unless_websocket_is_chosen() -> None:
    modules = {file: set(imported(file)) for file in files("servers")}
    roots = {file: {module.split(".")[0] for module in found} for file, found in modules.items()}
    assert set().union(*roots.values()) - {"servers", *sys.stdlib_module_names} == {"websockets"}
    users = {f"servers.wire.{file.stem}" for file, found in roots.items() if "websockets" in found}
    assert users == {"servers.wire.ws", "servers.wire._opening", "servers.wire._frames"}
    importers = {file.name for file, found in modules.items() if found & users}
    assert importers == {"ws.py"}


def test_the_shared_schema_needs_only_the_standard_library() -> None:
    modules = {module for file in files("harness/schema") for module in imported(file)}
    foreign = {module for module in modules if not module.startswith("harness.schema")}
    assert {module.split(".")[0] for module in foreign} <= set(sys.stdlib_module_names)


def test_the_wire_does_no_io_and_reads_no_clock() -> None:
    wrong = [
        (file.name, module) for file in files("servers/wire") for module in imported(file) if module in WIRE_MAY_NOT
    ]
    assert wrong == []


def test_only_the_locust_file_and_its_users_import_locust() -> None:
    importers = {
        file.name
        for file in files("loadgen")
        if "examples" not in file.parts and any(module.split(".")[0] == "locust" for module in imported(file))
    }
    assert importers <= MAY_IMPORT_LOCUST


def test_a_model_knows_nothing_of_the_wire_and_a_wire_nothing_of_models() -> None:
    models = [m for file in files("servers/models") for m in imported(file) if m.startswith("servers.wire")]
    wires = [m for file in files("servers/wire") for m in imported(file) if m.startswith("servers.models")]
    assert (models, wires) == ([], [])
