"""A scenario written by hand over UDP: sensors that report at a fixed pace, and now and then send all they know.

    locust -f loadgen/examples/sensors.py --host udp://127.0.0.1:9000 -u 20 -r 10 --headless -t 30s

A report that is lost is a failure of that request, after `timeout_s`; the sensor then goes on with its next one.
Run it from the repository, or with the package installed.
"""

# mypy: disable-error-code="untyped-decorator"
# Locust is typed in part only.

from locust import constant_pacing, task

from loadgen.users import UdpUser


class Sensor(UdpUser):
    """Sends something every 50 ms, however long the server takes to answer."""

    wait_time = constant_pacing(0.05)

    @task(9)
    def reading(self) -> None:
        """Echo one reading."""
        self.client.echo(b"21.5 degrees", name="reading")

    @task(1)
    def history(self) -> None:
        """Echo 8 KiB: one datagram, which networks that are no loopback cut into pieces."""
        self.client.echo(bytes(8192), name="history")
