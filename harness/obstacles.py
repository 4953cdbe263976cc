"""What a plan asks for that means nothing, and what the servers can't do here: two different things.

An option that a model does not have, or has not over a transport, *means nothing* there: in a matrix of models and
options such combinations arise by themselves, and are left out as a matter of course. A variant, model or transport
that is missing *here*, since a package is not installed into that interpreter, was meant: such a cell is named, and
counts as one that could not be measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.catalogue import Catalogue, Choice, Variant
from harness.scenario import Scenario


def flags_with_values(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the flags among a server's options with their values, "" where there is none."""
    for word, following in zip(options, [*options, ""][1:], strict=True):
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            yield flag, value if equals or following.startswith("--") else following


def inner_models(scenario: Scenario) -> list[str]:
    """Return the models that a scenario's options put inside its own: their options have a meaning too."""
    return [value for flag, value in flags_with_values(scenario.options) if flag == "--inner" and value is not None]


def meaningless(scenario: Scenario, offers: Catalogue) -> str | None:
    """Return why an option of a scenario means nothing for its model or transport; None where all do.

    Options of which no model lists variants are for the server to judge.
    """
    for flag, value in flags_with_values(scenario.options):
        models = {model.name: _variants(model, flag) for model in offers.models}
        having = [name for name, variants in models.items() if variants]
        owner = next((name for name in (scenario.model, *inner_models(scenario)) if name in having), None)
        if having and owner is None:
            return f"{flag} has no meaning for the model {scenario.model}; it goes with {', '.join(having)}"
        variants = models.get(owner or scenario.model, [])
        if variants and all(scenario.transport not in variant.transports for variant in variants):
            return f"{flag} has no meaning over {scenario.transport}"
        if any(scenario.transport not in variant.transports for variant in variants if variant.value == value):
            return f"{flag} {value} has no meaning over {scenario.transport}"
    return None


def missing_here(scenario: Scenario, offers: Mapping[str | None, Catalogue]) -> str | None:
    """Return what the servers lack for a scenario under its interpreter, None where they have all.

    `offers` is what they can have by interpreter, as plans name it.
    """
    catalogue = offers[scenario.python]
    under = "here" if scenario.python is None else f"under {scenario.python}"
    for kind, name, choices in (
        ("model", scenario.model, catalogue.models),
        ("transport", scenario.transport, catalogue.transports),
    ):
        for choice in choices:
            if choice.name == name and not choice.available:
                return f"{kind} {name} is not available {under}: {choice.reason}"
    model = next((choice for choice in catalogue.models if choice.name == scenario.model), None)
    for flag, value in flags_with_values(scenario.options):
        for variant in [] if model is None else _variants(model, flag):
            if variant.value == value and not variant.available:
                return f"{flag} {value} is not available {under}: {variant.reason}"
    return None


def _variants(model: Choice, flag: str) -> list[Variant]:
    return [variant for variant in model.variants if variant.flag == flag]
