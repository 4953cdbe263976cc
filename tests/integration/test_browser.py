"""A browser talks to a WebSocket server: headless Chromium opens a page that echoes, closes, and reports."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.parse import quote

import pytest

from .running import command, started

PAGE = Path(__file__).with_name("browser_page.html")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 60.0  # a browser takes its time to start, more so beside other tests
SIZES = (0, 1, 125, 126, 65_535, 65_536, 1 << 20)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@contextlib.contextmanager
def page_server(verdicts: Queue[dict[str, Any]]) -> Iterator[str]:
    """Serve the page, take its verdict, and yield the page's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = PAGE.read_bytes() if self.path.startswith("/page?") else b""
            self.answer(200 if body else 404, body)

        def do_POST(self) -> None:
            verdicts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(204, b"")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is inherited
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/page"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def browser(address: str, profile: Path) -> Iterator[None]:
    """Let Chromium show a page, and end all its processes afterwards."""
    assert CHROMIUM is not None
    # No sandbox: it needs privileges that a container may lack, and the page is ours.
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    quiet = ("--disable-background-networking", "--disable-component-update", "--no-proxy-server")
    with (profile / "said").open("wb") as said:
        process = subprocess.Popen(
            [CHROMIUM, *options, *quiet, f"--user-data-dir={profile}", address],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("model", ["asyncio", "thread"])
def test_a_browser_gets_its_messages_back_and_closes_cleanly(model: str, tmp_path: Path) -> None:
    verdicts: Queue[dict[str, Any]] = Queue()
    with started(command(model, "ws", "--port", "0")) as server, page_server(verdicts) as page:
        with browser(f"{page}?url={quote(f'ws://127.0.0.1:{server.port}/echo')}", tmp_path):
            try:
                verdict = verdicts.get(timeout=PATIENCE_S)
            except Empty:
                pytest.fail(f"no verdict in {PATIENCE_S:g} s; Chromium said {(tmp_path / 'said').read_text()[-2_000:]}")
        stopped = server.stop()
    assert verdict == {
        "protocol": "",
        "extensions": "",
        "echoed": [f"{kind} {size}" for size in SIZES for kind in ("text", "binary")],
        "differing": [],
        "errors": 0,
        "code": 1000,
        "clean": True,
    }
    assert (stopped["messages"], stopped["protocol_errors"]) == (2 * len(SIZES), 0)
