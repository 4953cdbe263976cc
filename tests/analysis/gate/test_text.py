"""What the gate says, read by someone whose pull request has just failed, or just passed."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from analysis.gate import Rules, decide
from analysis.gate.decision import Decision
from analysis.gate.text import MARKER, findings, markdown, print_decision
from harness.schema.gate import Arm, Metric
from tests.analysis.canned_gate import SCENARIO, STEAL, failing, one, rounds, slot, spoilt

RULES = Rules()
SLOWER = decide({SCENARIO: rounds(40, 1.08), "thread-tcp": rounds(12)}, RULES)
NAMES = {Arm.BASE: "origin/main at 1a2b3c4", Arm.HEAD: "the working tree"}


def console_text(decision: Decision, width: int = 200) -> str:
    file = io.StringIO()
    print_decision(decision, Console(file=file, width=width), NAMES)
    return file.getvalue()


def test_the_verdict_stands_first_then_what_it_is_about() -> None:
    lines = markdown(SLOWER, NAMES).splitlines()
    assert lines[0] == MARKER
    assert lines[1] == (
        "## Performance gate: REGRESSION: head is slower than base, by more than noise and by more than the minimum "
        "that matters"
    )
    assert lines[3].startswith("* REGRESSION, asyncio-tcp, CPU time per request: head needs 8.0 % more CPU time")
    assert lines[4].startswith("* REGRESSION, asyncio-tcp, throughput: head has 7.4 % less throughput")
    assert lines[5].startswith("* all else passed: a slowdown of ")
    assert "* base is origin/main at 1a2b3c4" in lines


def test_each_metric_of_each_scenario_is_a_row_and_what_failed_is_bold() -> None:
    text = markdown(SLOWER)
    table = [line for line in text.splitlines() if line.startswith("|") and "%" in line and "us," not in line]
    assert len([line for line in table if "tcp" in line]) == 8
    assert [line.count("**") for line in table if "**" in line] == [20, 20]
    assert "| **asyncio-tcp** | **CPU time per request** | **20.0 us** | **21.6 us** | **+8.0 %** |" in text
    assert "not gated" in text


def test_the_rounds_and_what_to_do_are_folded_away() -> None:
    text = markdown(SLOWER)
    assert text.count("<details>") == text.count("</details>") == 2
    assert "| 1 | base | 20.0 us, 21.8 us, +9.1 % |" in text
    assert "two failures are no accident" in text
    assert "narrowed to it" in text


def test_a_text_too_long_for_a_comment_leaves_the_rounds_out_and_says_where_they_are() -> None:
    short = markdown(SLOWER, longest=4000)
    assert "| 1 | base |" not in short
    assert "they are in the JSON record" in short
    many = decide({f"scenario {n}": rounds(40, 1.08) for n in range(30)}, RULES)
    assert len(markdown(many)) < 65_536


def test_a_pass_says_what_would_have_been_found() -> None:
    decision = decide({SCENARIO: rounds(12)}, RULES)
    worst = max(row.detectable for row in decision.rows if row.gated)
    assert findings(decision) == [
        f"everything passed: a slowdown of {100 * worst:.1f} % or more of any single one of its metrics would have "
        "been found four times out of five"
    ]
    assert "What to do" not in console_text(decision)


def test_a_scenario_that_failed_as_a_whole_is_told_once() -> None:
    decision = decide({SCENARIO: [one(1, head=failing()), one(2, head=failing())]}, RULES)
    assert findings(decision) == [
        "BROKEN, asyncio-tcp: head's server failed in 2 of 2 rounds, base's did not: the server died with signal 11"
    ]
    assert "running the gate again won't help" in markdown(decision)
    assert "No round could be used." in markdown(decision)


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (decide({SCENARIO: rounds(12, noise=0.3)}, RULES), "too noisy here"),
        (decide({SCENARIO: rounds(20, 1.1)}, RULES), "the gate ended after 20 usable of 40 rounds"),
        (decide({SCENARIO: [one(n, redo=STEAL) for n in range(1, 15)]}, RULES), "14 of 14 rounds can't be used: steal"),
        (decide({}, RULES, {"new-tcp": "base does not know it"}), "new-tcp is not compared: base does not know it"),
        (decide({SCENARIO: []}, RULES), "nothing could be compared"),
        (decide({SCENARIO: spoilt(rounds(13), 1, redo=STEAL)}, RULES), "1 round redone, both arms: steal"),
    ],
)
def test_each_reason_not_to_decide_is_said_on_both_media(decision: Decision, words: str) -> None:
    assert words in markdown(decision)
    assert words in " ".join(console_text(decision).split())


def test_the_console_has_the_same_rows_and_says_what_to_do() -> None:
    text = console_text(SLOWER)
    assert text.startswith("Performance gate: REGRESSION")
    assert "21.6 us" in text
    assert "What to do:" in text


def test_a_sentence_from_a_server_can_t_write_markup_or_break_the_table() -> None:
    nasty = "it said | `</details>` [x](http://e) \x1b[31m\nand more"
    text = markdown(decide({SCENARIO: [one(1, head=failing(nasty)), one(2, head=failing(nasty))]}, RULES))
    assert text.count("</details>") == 2
    assert "\x1b" not in text
    assert "\\[x\\]" in text
    assert "\x1b" not in console_text(
        decide({SCENARIO: [one(1, head=failing(nasty)), one(2, head=failing(nasty))]}, RULES)
    )


def test_a_p99_that_was_never_answered_reads_so() -> None:
    silent = [replace(each, head=slot(figures={Metric.P99: float("inf")})) for each in rounds(40)]
    text = markdown(decide({SCENARIO: silent}, RULES.with_gated(Metric.P99)))
    assert "3.00 ms | **unanswered**" in text.replace("**3.00 ms**", "3.00 ms")


def test_few_rounds_say_what_their_interval_covers() -> None:
    text = markdown(decide({SCENARIO: rounds(3)}, RULES.with_rounds(3)))
    assert "(75 %)" in text


def test_a_narrow_console_shows_the_columns_that_decide_and_a_wide_one_all() -> None:
    narrow, wide = console_text(SLOWER, 80), console_text(SLOWER, 140)
    assert max(map(len, narrow.splitlines())) <= 80
    heads = next(line for line in narrow.splitlines() if "scenario" in line).split()
    assert heads == ["scenario", "metric", "worse", "by", "interval", "detectable", "verdict"]
    row = next(line for line in wide.splitlines() if line.strip().startswith("asyncio-tcp"))
    assert row.split()[:9] == ["asyncio-tcp", "CPU", "time", "per", "request", "20.0", "us", "21.6", "us"]


def test_one_size_for_all_metrics_is_said_once_and_sizes_that_differ_each() -> None:
    assert "REGRESSION takes p <= 0.01 and at least 3 %. " in markdown(SLOWER).replace("&lt;", "<")
    both = decide({SCENARIO: rounds(40)}, RULES.with_gated(Metric.P99))
    assert "3 % (CPU time per request), 3 % (throughput) and 10 % (p99 response time)" in markdown(both)
