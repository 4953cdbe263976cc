"""A connection whose client does not close is read for a second at most, also while its server drains."""

import pytest

from tests.integration.messages import header
from tests.integration.running import MODELS, command, started
from tests.integration.working import clients


@pytest.mark.parametrize("model", MODELS)
def test_a_client_that_was_refused_and_stays_holds_up_a_drain_for_no_longer_than_the_linger(model: str) -> None:
    """The drain deadline is far beyond the test's patience."""
    with started(command(model, "tcp", "--drain-timeout", "600")) as running, clients(running, "tcp", 1) as (client,):
        client.say(header(9, 0, 9))
        assert client.rest() == header(3, 8, 9) + b"bad kind"
        assert running.stop()["aborted"] == 0
