"""A scenario written by hand: users that think, and send small requests more often than large ones.

    locust -f loadgen/examples/mixed_payloads.py --host tcp://127.0.0.1:9000 -u 20 -r 10 --headless -t 30s

Run it from the repository, or with the package installed.
"""

# mypy: disable-error-code="untyped-decorator"
# Locust is typed in part only.

from locust import between, task

from loadgen.users import TcpUser


class Reader(TcpUser):
    """Asks, thinks for a moment, asks again."""

    wait_time = between(0.01, 0.05)

    @task(9)
    def small(self) -> None:
        """Echo a short payload."""
        self.client.echo(b"a short question", name="small")

    @task(1)
    def large(self) -> None:
        """Echo 4 KiB."""
        self.client.echo(bytes(range(256)) * 16, name="large")
