"""A scenario written by hand over WebSocket: tabs of a browser that are opened, chat for a while and are closed.

    locust -f loadgen/examples/browser_tabs.py --host ws://127.0.0.1:9000/chat -u 20 -r 10 --headless -t 30s

The first message of a tab holds the time to connect and to shake hands, so it has a name of its own.
Run it from the repository, or with the package installed.
"""

# mypy: disable-error-code="untyped-decorator"
# Locust is typed in part only.

from locust import between, task

from loadgen.users import WebSocketUser


class Tab(WebSocketUser):
    """Opens, says some things with pauses in between, closes."""

    wait_time = between(0.01, 0.05)

    @task
    def visit(self) -> None:
        """Make a connection and use it for a few messages."""
        self.client.echo(b"hello", name="open")
        for _ in range(5):
            self.client.echo(b"a line of a chat", name="chat")
            self.wait()
        self.client.close()
