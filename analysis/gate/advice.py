"""What to do about each verdict of the gate, for someone who sees it on a pull request for the first time."""

from __future__ import annotations

from collections.abc import Mapping

from analysis import wording
from analysis.gate.decision import Verdict

MEANINGS: Mapping[Verdict, str] = {
    Verdict.BROKEN: "head's server does not work where base's does",
    Verdict.REGRESSION: "head is slower than base, by more than noise and by more than the minimum that matters",
    Verdict.INVALID: "the measuring could not be used, so nothing is said about head",
    Verdict.INCONCLUSIVE: "no regression was found, but the gate could not have told",
    Verdict.PASS: "no regression was found, and one of the size that the gate is meant to find would have been",
    Verdict.IMPROVEMENT: "head is faster than base, by more than noise and by more than the minimum that matters",
}


def advice(verdict: Verdict, scenario: str, alpha: float) -> tuple[str, ...]:
    """Return what to do about a verdict, one sentence or two each; `scenario` is one that it stands for."""
    return {
        Verdict.BROKEN: _broken(),
        Verdict.REGRESSION: _regression(scenario, alpha),
        Verdict.INVALID: _undecided(),
        Verdict.INCONCLUSIVE: _undecided(),
        Verdict.PASS: ("Nothing.",),
        Verdict.IMPROVEMENT: ("Nothing. It is a good time to say in the pull request what made it faster.",),
    }[verdict]


def _broken() -> tuple[str, ...]:
    return (
        "Start head's server by hand with the command that the JSON record holds, and send it something: "
        "the sentence above says what went wrong.",
        "Run the test suite. This is no question of speed, and running the gate again won't help.",
    )


def _regression(scenario: str, alpha: float) -> tuple[str, ...]:
    return (
        "Look at the single rounds, in the Markdown or the JSON record: a real slowdown shows in most of them, "
        "whichever arm ran first.",
        f"Look for the change that costs something for each request of {scenario}. A gate with --models and "
        "--transports narrowed to it answers in a few minutes, on your machine too.",
        f"Identical code fails in at most {wording.percent(alpha)} of all gates. If you doubt this one, run it once "
        "more and count both: two failures are no accident. Running it until it passes proves nothing.",
        "If the slowdown is the price of something that you want, merge it and say so. The gate keeps no baseline: "
        "the next pull request is compared with the new base.",
    )


def _undecided() -> tuple[str, ...]:
    return (
        "Read the reason above. If the machine was busy, run the gate again when it is quiet.",
        "If the noise is always there, give the gate more rounds (--rounds) or a machine of its own; "
        "echobench calibrate shows how much identical runs differ here.",
        "This does not fail the build unless --strict is given. It is no proof that nothing got slower.",
    )
