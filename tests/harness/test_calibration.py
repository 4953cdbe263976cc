"""A calibration's windows, what is derived from them, and how that reads."""

from __future__ import annotations

import io
import json
import statistics
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from harness import calibration, calibration_text
from harness.calibration import Slot, Spread
from tests.harness.calibrations import ENVIRONMENT, document, slot, whole


def test_windows_are_stored_raw_and_read_back_as_they_were() -> None:
    assert calibration.slots_from(json.loads(json.dumps(document(), allow_nan=False))) == whole()


@pytest.mark.parametrize("windows", [[{"part": "ceiling"}], [3], [{**document()["windows"][0], "more": 1}]])
def test_windows_of_another_shape_are_refused(windows: list[Any]) -> None:
    with pytest.raises((TypeError, KeyError)):
        calibration.slots_from({"windows": windows})


def test_a_ceiling_is_the_median_of_its_own_transport_and_way_of_waiting() -> None:
    assert calibration.ceiling(whole(), "tcp", spin=False) == Spread(60_000, 58_000, 62_000, 2)
    assert calibration.ceiling(whole(), "tcp", spin=True) == Spread(65_000, 64_000, 66_000, 2)
    assert calibration.ceiling(whole(), "udp", spin=False) == Spread(30_000, 29_000, 31_000, 2)
    assert calibration.ceiling(whole(), "ws", spin=False) is None


@pytest.mark.parametrize(
    ("limits", "its_own"),
    [
        (["generator"] * 3, True),
        (["generator", "generator", "server"], True),
        (["generator", "server"], False),
        ([], False),
    ],
)
def test_a_ceiling_is_the_generators_where_it_was_the_limit_in_most_windows(limits: list[str], its_own: bool) -> None:
    assert calibration.is_the_generators([slot(limited_by=limit) for limit in limits], "tcp", spin=False) is its_own


def test_noise_is_the_coefficient_of_variation_of_one_length() -> None:
    values = [40e3, 44e3, 48e3]
    slots = [*whole(), slot(part="noise", window_s=2.0, throughput_per_s=1.0)]
    assert calibration.variation(slots, 1.0, spin=True) == pytest.approx(statistics.stdev(values) / 44e3)
    assert calibration.variation(slots, 2.0, spin=False) is None
    assert calibration.lengths(slots) == [1.0, 2.0]


def test_a_neighbour_is_compared_pair_by_pair() -> None:
    pairs = [(1, False, 100.0), (1, True, 50.0), (2, False, 400.0), (2, True, 100.0), (3, True, 9.0)]
    slots = [slot(part="neighbour", round=number, spin=spin, throughput_per_s=rate) for number, spin, rate in pairs]
    assert calibration.beside(slots, "throughput_per_s") == Spread(0.375, 0.25, 0.5, 2)
    assert calibration.beside([], "throughput_per_s") is None


def test_a_name_tells_machine_and_pinning_apart_and_names_no_host() -> None:
    other = {**ENVIRONMENT, "memory_bytes": 1}
    names = {calibration.name_of(*pair) for pair in ((ENVIRONMENT, "0:1"), (ENVIRONMENT, "1:0"), (other, "0:1"))}
    assert len(names) == 3
    assert calibration.name_of({**ENVIRONMENT, "started": "later", "load_average": [9]}, "0:1") in names
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def said(slots: Sequence[Slot], **changes: Any) -> str:
    """Return what is printed of a calibration, its line breaks taken out."""
    out = io.StringIO()
    calibration_text.print_calibration(document(list(slots), **changes), Console(file=out, width=200))
    return " ".join(out.getvalue().split())


def test_everything_that_was_measured_is_in_the_table_sleeping_beside_spinning() -> None:
    rows = dict(calibration_text.rows(whole()))
    assert rows["ceiling over tcp against echo_server.c, replies/s"] == [
        "60,000\n58,000 to 62,000",
        "65,000\n64,000 to 66,000",
    ]
    assert rows["send lateness of open:2000:constant, p99, us"] == ["400.0\n400.0 to 400.0", "50.0\n50.0 to 50.0"]
    assert rows["rate achieved of it, replies/s"] == ["2,000.0\n2,000.0 to 2,000.0"] * 2
    assert rows["variation of identical windows of 1 s, %"] == ["9.1\nof 3"] * 2
    assert rows["throughput of asyncio beside it, replies/s"][0].startswith("40,000\n")
    assert all(what in said(whole()) for what in rows)


def test_sentences_say_what_the_figures_mean() -> None:
    text = said(whole())
    for sentence in (
        "server on CPU 0, load generator on CPU 1",
        "Over tcp the load generator reaches about 60,000/s (64 connections, 64 bytes, one process). Cells over 85 % "
        "of it, 51,000/s, are marked near_ceiling",
        "go out late by 90 us (p50) and 400 us (p99) when sleeping, 8 us (p50) and 50 us (p99) when spinning.",
        "identical windows of 1 s varies by 9.1 % (9.1 % when spinning)",
        "answers 1.08 times as much (1.06 to 1.10), pair by pair: no clear cost of spinning is seen here.",
    ):
        assert sentence in text


def test_a_ceiling_that_is_the_servers_is_a_lower_bound_and_marks_nothing() -> None:
    slots = [slot(server="selectors", limited_by="server")]
    assert dict(calibration_text.rows(slots))["ceiling over tcp against selectors, replies/s"] == [">= 60,000", "-"]
    assert "reaches at least 60,000/s: against selectors it was not the limit itself" in said(slots)


def test_a_clear_cost_of_spinning_is_said_and_a_generators_limit_is_told() -> None:
    pair = [
        slot(part="neighbour", spin=spin, server_cpu_us_per_request=cost, limited_by="generator")
        for spin, cost in ((False, 4.0), (True, 5.0))
    ]
    text = said(pair)
    assert "takes 1.25 times the CPU time per request" in text
    assert "spinning costs the server something here; the load generator was the limit" in text


def test_parts_that_could_not_be_measured_are_left_out_of_the_sentences() -> None:
    assert calibration_text.sentences([]) == []
    text = said([], notes=["there is no C compiler"], pin="none")
    assert "(unpinned)" in text
    assert "* there is no C compiler" in text
