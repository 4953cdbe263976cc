"""nginx in front of a server, with a configuration and files of its own, as whoever runs the tests.

It stays in the foreground and is ready when its log says that its workers run; then its port listens, as the parent
has bound it before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .running import eventually

# Distributions put it where an ordinary user's PATH does not look.
NGINX = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))

_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{server_port};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }}
        # As nginx does it when it is told nothing: HTTP/1.0 to the server.
        location /healthz {{
            proxy_pass http://127.0.0.1:{server_port};
            proxy_http_version {health_version};
        }}
    }}
}}
"""


@contextlib.contextmanager
def reverse_proxy(server_port: int, folder: Path, health_version: str = "1.0") -> Iterator[int]:
    """Run nginx before a server and yield its port."""
    assert NGINX is not None
    folder.chmod(0o755)  # where the parent is root, its worker is somebody else and writes here what is large
    configuration, port = folder / "nginx.conf", _free_port()
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, port=port, server_port=server_port, health_version=health_version)
    )
    log = folder / "error.log"
    log.touch()
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-c", str(configuration), "-e", str(log)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: _is_ready(process, log), "nginx starts its workers")
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    said = log.read_text()
    assert process.poll() is None, f"nginx ended: {said}"
    return "start worker process" in said


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
