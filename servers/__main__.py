"""`python -m servers`: one server, from the command line."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict

import servers.models
import servers.wire
from servers import registry
from servers.config import OneSentenceParser, ServerConfig, UsageError, add_arguments
from servers.lifecycle import serve

LIST_SCHEMA = "echobench.list/1"
EXIT_USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        _print_list(as_json=options.json)
        return 0
    logging.basicConfig(level=options.log_level.upper(), format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        return _serve(parser, options)
    except UsageError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return EXIT_USAGE


def _serve(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if not options.model or not options.transport:
        parser.error("name the server with --model and --transport, or ask for --list")
    if options.json:
        parser.error("--json goes with --list")
    model, transport = registry.load_model(options.model), registry.load_transport(options.transport)
    settings = vars(options).copy()
    for name in ("list", "json"):
        del settings[name]
    config = ServerConfig(**settings)
    registry.check(config)
    return serve(model, transport.factory(config), config)


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(
        prog="python -m servers",
        allow_abbrev=False,
        description="Serve the echo protocol. Prints one line of JSON when it serves and one when it has stopped.",
    )
    parser.add_argument("--model", metavar="MODEL", help=f"one of: {', '.join(registry.names(servers.models))}")
    parser.add_argument("--transport", metavar="TRANSPORT", help=f"one of: {', '.join(registry.names(servers.wire))}")
    parser.add_argument("--list", action="store_true", help="print the models and transports there are, and end")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_arguments(parser)
    return parser


def _print_list(*, as_json: bool) -> None:
    models, transports = registry.entries(servers.models), registry.entries(servers.wire)
    if as_json:
        with_variants = [
            {**asdict(entry), "variants": [asdict(variant) for variant in registry.variants(entry.name)]}
            for entry in models
        ]
        listing = {"models": with_variants, "transports": [asdict(entry) for entry in transports]}
        print(json.dumps({"schema": LIST_SCHEMA, **listing}))
        return
    print("Models, and their variants")
    for entry in models:
        _print_entry(entry.name, entry)
        for variant in registry.variants(entry.name):
            _print_entry("  " + " ".join(variant.options), variant)
    print("Transports")
    for entry in transports:
        _print_entry(entry.name, entry)


def _print_entry(name: str, entry: registry.Entry | registry.ListedVariant) -> None:
    note = "" if entry.available else f"(unavailable: {entry.reason})"
    print(f"  {name:<20}", *filter(None, (entry.summary, note)))


if __name__ == "__main__":
    sys.exit(main())
