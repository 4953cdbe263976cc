"""Every model does everything that the checks ask for. A new model is covered by being in the servers' list."""

from __future__ import annotations

import pytest

from .catalogue import Check, all_checks
from .server_process import Server


@pytest.mark.parametrize("check", all_checks().values(), ids=all_checks().keys())
def test_model_passes(server: Server, check: Check) -> None:
    check(server)
