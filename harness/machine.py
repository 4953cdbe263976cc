"""What the machine as a whole counted: idle and stolen time of each CPU, and connections, segments, datagrams lost.

The counters of `/proc/net` belong to the network namespace, not to the server: any other program of the machine may
move them. A difference over a window is therefore a doubt about the window, not a finding about the server.

Datagrams are the exception: `/proc/net/udp` counts for each socket what its receive buffer had no room for. Those of
the sockets at the server's port are the server's own, those of the sockets connected to it are the generator's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.procfs import read_proc


@dataclass(frozen=True)
class CpuTicks:
    """One CPU's clock ticks since boot: doing nothing, and taken away by the hypervisor."""

    idle: int
    stolen: int


@dataclass(frozen=True)
class MachineState:
    """The machine's counters at one instant."""

    at_monotonic_ns: int
    cpus: Mapping[int, CpuTicks]
    counters: Mapping[str, int]


# The name in our records -> (file of /proc/net, protocol, the kernel's name)
COUNTERS = {
    "listen_overflows": ("netstat", "TcpExt", "ListenOverflows"),
    "listen_drops": ("netstat", "TcpExt", "ListenDrops"),
    "retransmitted_segments": ("snmp", "Tcp", "RetransSegs"),
    "namespace_udp_drops": ("snmp", "Udp", "RcvbufErrors"),
}


def read_machine(udp_port: int | None = None) -> MachineState:
    """Return the machine's counters as they are now; counters that the kernel does not keep are missing.

    With the port of a UDP server, what its sockets and those of its clients dropped is among them.
    """
    at_ns, counters = time.monotonic_ns(), _read_counters()
    if udp_port is not None:
        tables = [read_proc(f"/proc/net/{name}") or b"" for name in ("udp", "udp6")]
        counters |= parse_udp_drops(b"".join(tables), udp_port)
    return MachineState(at_ns, _read_cpus(), counters)


def _read_cpus() -> dict[int, CpuTicks]:
    cpus = {}
    for line in Path("/proc/stat").read_bytes().splitlines():
        name, *ticks = line.split()
        if name.startswith(b"cpu") and name != b"cpu":
            # user nice system idle iowait irq softirq steal: waiting for a disk is idle too
            cpus[int(name[3:])] = CpuTicks(idle=int(ticks[3]) + int(ticks[4]), stolen=int(ticks[7]))
    return cpus


def _read_counters() -> dict[str, int]:
    files = {name: parse_counters(read_proc(f"/proc/net/{name}") or b"") for name in ("netstat", "snmp")}
    found = {name: files[file].get((protocol, field)) for name, (file, protocol, field) in COUNTERS.items()}
    return {name: value for name, value in found.items() if value is not None}


def parse_udp_drops(text: bytes, port: int) -> dict[str, int]:
    """Return the datagrams dropped by the sockets at a port, and by those connected to it; from /proc/net/udp."""
    server = loadgen = 0
    for line in text.decode().splitlines():
        fields = line.split()
        if len(fields) < 13 or not fields[-1].isdigit():  # the line of names
            continue
        local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
        server += int(fields[-1]) if local == port else 0
        loadgen += int(fields[-1]) if remote == port else 0
    return {"udp_drops_server": server, "udp_drops_loadgen": loadgen}


def parse_counters(text: bytes) -> dict[tuple[str, str], int]:
    """Return the counters of /proc/net/netstat or snmp by (protocol, name): pairs of lines, names over values."""
    counters = {}
    lines = text.decode().splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        protocol, *columns = names.split()
        for column, value in zip(columns, values.split()[1:], strict=False):
            counters[protocol.rstrip(":"), column] = int(value)
    return counters
