"""What a run was measured on: figures without it are not comparable, not even with themselves a month later.

Nothing in here names a person, a host or a home folder: results are published with the repository.
`anonymous` does the same for commands and messages that are stored with a cell.
"""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.pinning import allowed_cpus, physical_cores

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("echobench", "gevent", "hdrhistogram", "locust", "numpy", "psutil", "uvloop", "websockets")
PROGRAMS = ("harness", "loadgen", "servers")
GIT_TIMEOUT_S = 10
SYSCTLS = (
    "kernel/sched_autogroup_enabled",
    "net/core/netdev_max_backlog",
    "net/core/rmem_default",
    "net/core/rmem_max",
    "net/core/somaxconn",
    "net/core/wmem_default",
    "net/core/wmem_max",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_syncookies",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv4/tcp_wmem",
)
# Variables that change how memory is allocated or how the interpreter runs; paths among them are shortened to names.
VARIABLES = ("GLIBC_TUNABLES", "LD_PRELOAD")
VARIABLE_PREFIXES = ("MALLOC_", "PYTHON")
VARIABLES_OF_PATHS = {
    "LD_PRELOAD",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONPYCACHEPREFIX",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
}


def read_environment() -> dict[str, Any]:
    """Return what can be known of machine, system, interpreter and code; null where the system does not say."""
    return {
        "started": utc_now(),
        "cpu": _cpu(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "virtualisation": _virtualisation(),
        "clock_source": _text(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "python_build": f"{platform.python_implementation()}, {platform.python_compiler()}",
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "packages": _packages(),
        "code": {program: code_hash(program) for program in PROGRAMS},
        "git": _git(),
        "sysctl": {name.replace("/", "."): _text(Path("/proc/sys") / name) for name in SYSCTLS},
        "limits": {
            "open_files": list(resource.getrlimit(resource.RLIMIT_NOFILE)),
            "processes": list(resource.getrlimit(resource.RLIMIT_NPROC)),
        },
        "variables": malloc_and_python_variables(os.environ),
    }


def what_must_not_change(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an environment in which the cells of one run must agree to be comparable."""
    cpu = environment.get("cpu") or {}
    return {
        "CPU": [cpu.get(key) for key in ("model", "count", "allowed")],
        "kernel": environment.get("kernel"),
        "Python": [environment.get(key) for key in ("python", "python_build")],
        "interpreters": environment.get("interpreters") or {},
        "packages": environment.get("packages"),
        "code": environment.get("code"),
    }


def utc_now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cpu() -> dict[str, Any]:
    information = _text(Path("/proc/cpuinfo")) or ""
    fields = dict(line.split(":", 1) for line in information.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    allowed = allowed_cpus()
    folder = Path("/sys/devices/system/cpu")
    return {
        "model": named.get("model name"),
        "count": os.cpu_count(),
        "allowed": list(allowed),
        "cores": physical_cores(allowed),
        "packages": sorted({_text(folder / f"cpu{cpu}/topology/physical_package_id") or "" for cpu in allowed}),
        "numa_nodes": len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or None,
        "governor": _text(folder / f"cpu{allowed[0]}/cpufreq/scaling_governor"),
        "smt": _text(folder / "smt/control"),
        "turbo_off": _text(folder / "intel_pstate/no_turbo"),
    }


def _virtualisation() -> str | None:
    """Return the hypervisor as far as it can be told: what the firmware calls the machine, or that there is one."""
    product = " ".join(
        filter(None, (_text(Path("/sys/class/dmi/id") / name) for name in ("sys_vendor", "product_name")))
    )
    hypervisor = "hypervisor" in (_text(Path("/proc/cpuinfo")) or "").split()
    return (product or "yes, of unknown kind") if hypervisor else None


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # optional, or run from a checkout
    return found


def code_hash(program: str, root: Path = ROOT) -> str:
    """Return a hash over the source files of one of our packages: it names the code also outside of a checkout."""
    digest = hashlib.sha256()
    folder = root / program
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _git() -> dict[str, Any] | None:
    """Return commit and dirty flag when the code runs from a checkout of its own, else None."""
    if not (ROOT / ".git").exists():
        return None
    try:
        commit, changes = _git_output("rev-parse", "HEAD"), _git_output("status", "--porcelain")
    except (OSError, subprocess.SubprocessError):
        return None  # git is not installed, or the checkout is not ours to read
    return {"commit": commit, "dirty": bool(changes)}


def _git_output(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True).stdout.strip()


def malloc_and_python_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change how memory is allocated or how Python runs, without folders."""
    chosen = {
        name: value for name, value in variables.items() if name in VARIABLES or name.startswith(VARIABLE_PREFIXES)
    }
    return {name: _names_only(value) if name in VARIABLES_OF_PATHS else value for name, value in sorted(chosen.items())}


def _names_only(paths: str) -> str:
    return ":".join(Path(path).name for path in paths.split(":"))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None  # this kernel does not have it


def anonymous(text: str) -> str:
    """Return a text without the folders of this installation and without the home folder."""
    shorter = {sys.executable: "python", f"{ROOT}/": "", str(ROOT): ".", str(Path.home()): "~"}
    for path, name in shorter.items():
        if len(path) > 1:  # a home at the root of the file system is no secret, and part of every path
            text = text.replace(path, name)
    return text
