"""What the options read, and the one sentence for what they refuse."""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

from harness.schema import Load, Share
from loadgen.cli import make_parser
from loadgen.options import OPTIONS, Options, Target, UsageError, add_to_locust, as_locust_arguments, parse_cpus
from tests.loadgen.runs import options_for

URL = "tcp://127.0.0.1:9000"


def test_defaults_are_those_of_the_documentation() -> None:
    values = make_parser().parse_args([URL])
    options = Options.read(values.url, values, values.json)
    assert values.connections == 64
    assert options == Options(
        target=Target(URL, "tcp", "127.0.0.1", 9000),
        loads=(Load("closed"),),
        warmup_s=1,
        window_s=5,
        payload="64",
        shares=(Share(64, 1.0),),
        mode="persistent",
        idle=0,
        pipeline=1,
        timeout_s=1,
        spin=False,
        seed=1,
        cpus=(),
        record=None,
    )


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("tcp://localhost:80", "localhost", 80),
        ("tcp://[::1]:9000", "::1", 9000),
        ("udp://10.0.0.7:1/", "10.0.0.7", 1),
        ("ws://localhost:80", "localhost", 80),
        ("ws://[::1]:1/a/b?c=d", "::1", 1),
    ],
)
def test_a_target_has_a_host_and_a_port(url: str, host: str, port: int) -> None:
    target = Target.parse(url)
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9000",
        "http://a:1",
        "tcp://a",
        "tcp://:9",
        "tcp://a:x",
        "ws://a/b",
        "ws://a:1#b",
        "wss://a:1",
        "ws://a:b@c:1",
    ],
)
def test_what_is_no_target_is_refused_with_the_forms_there_are(url: str) -> None:
    with pytest.raises(UsageError, match=re.escape("tcp://HOST:PORT, udp://HOST:PORT or ws://HOST:PORT/PATH")):
        Target.parse(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("tcp://a:1/b", "URL 'tcp://a:1/b' names a path, and over tcp there is none: leave it out"),
        ("udp://a:1?b", "URL 'udp://a:1?b' names a path, and over udp there is none: leave it out"),
        ("ws://a:1/b c", "URL 'ws://a:1/b c' has a space in it"),
        ("ws://a:1/" + 4096 * "b", "or over 4,096 characters"),
    ],
)
def test_a_path_that_can_not_be_asked_for_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        Target.parse(url)


def test_without_the_websockets_package_the_other_transports_work_and_ws_says_what_it_needs() -> None:
    code = (
        "import sys\nsys.modules['websockets'] = None\n"
        "from loadgen.options import Target, UsageError\nprint(Target.parse('tcp://a:1').transport)\n"
        "for url in 'ws://a:1', 'http://a:1':\n"
        "    try: Target.parse(url)\n"
        "    except UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "tcp",
        "transport ws needs the package websockets: install it",
        "URL 'http://a:1' is not tcp://HOST:PORT or udp://HOST:PORT",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"load": ["open"]}, "load 'open' is not one of closed, open:RATE"),
        ({"load": ["open:-3"]}, "load 'open:-3' is not one of"),
        ({"load": ["closed", "open:1:often"]}, "load 'open:1:often' is not one of"),
        ({"warmup": "-1"}, "--warmup -1 is not a number from 0"),
        ({"window": "0"}, "--window 0 is not a number from 0.05"),
        ({"window": "nan"}, "--window nan is not a number"),
        ({"payload": "1.5"}, "--payload 1.5: '1.5' is neither a size in bytes"),
        ({"payload": "64:0.9,4096:0.2"}, "--payload 64:0.9,4096:0.2: the parts of .* add up to 1.1, not to 1"),
        ({"payload": "64,4096"}, "--payload 64,4096: '64' is neither a size in bytes, such as 64, nor"),
        ({"payload": "64:0.5,64:0.5"}, "--payload 64:0.5,64:0.5: .* names a size twice"),
        ({"idle": "-1"}, "--idle -1 is not a whole number from 0"),
        ({"mode": "often"}, "--mode often is not one of persistent, churn"),
        ({"pipeline": "2", "load": ["open:5"]}, "--pipeline 2 is for closed load, and there is none"),
        ({"mode": "churn", "pipeline": "2"}, "--mode churn sends one request on a connection"),
        ({"mode": "churn", "idle": "2"}, "--idle connections stay open"),
        ({"pipeline": "0"}, "--pipeline 0 is not a whole number from 1"),
        ({"timeout": "soon"}, "--timeout soon is not a number"),
        ({"seed": "-1"}, "--seed -1 is not a whole number"),
        ({"cpus": "1;2"}, "CPU list '1;2' is not of the form 0,2-3"),
        ({"cpus": "3-1"}, "CPU list '3-1' names no CPU"),
        ({"window": "", "load": ["closed", "open:5"]}, "several loads need --window"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        options_for(URL, **change)


@pytest.mark.parametrize(("transport", "most"), [("tcp", 16_777_216), ("udp", 65_491), ("ws", 16_777_216)])
def test_the_payload_is_limited_by_what_the_transport_carries(transport: str, most: int) -> None:
    url = f"{transport}://127.0.0.1:9000"
    assert options_for(url, payload=str(most)).payload == str(most)
    sentence = f"--payload {most + 1}: over {transport} a payload has at most {most:,} bytes"
    with pytest.raises(UsageError, match=sentence):
        options_for(url, payload=str(most + 1))


def test_churn_over_udp_is_refused() -> None:
    with pytest.raises(UsageError, match="--mode churn has no meaning over udp"):
        options_for("udp://127.0.0.1:9000", mode="churn")


def test_a_record_that_can_not_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    values = make_parser().parse_args([URL])
    for place in (tmp_path, tmp_path / "missing" / "record.json"):
        with pytest.raises(UsageError, match="can not write the record to"):
            Options.read(URL, values, str(place))


def test_cpus_are_read_as_ranges() -> None:
    assert parse_cpus("5,0,2-3") == (0, 2, 3, 5)


def test_both_command_lines_know_the_same_options_and_pass_them_on_unchanged() -> None:
    arguments = ["--load", "open:5", "--load", "closed", "--warmup", "2", "--window", "0.5", "--payload", "9"]
    arguments += ["--pipeline", "3", "--idle", "2", "--timeout", "0.25", "--spin", "--seed", "4", "--cpus", "0"]
    ours = make_parser().parse_args([URL, *arguments])

    class LocustLike(ArgumentParser):
        """Locust's parser takes one keyword more."""

        def add_argument(self, *names: str, include_in_web_ui: bool = True, **settings: Any) -> Any:
            return super().add_argument(*names, **settings)

    parser = LocustLike()
    add_to_locust(parser)
    theirs = parser.parse_args([*as_locust_arguments(ours), "--load-record", ""])
    for option in OPTIONS:
        assert getattr(theirs, option.name) == getattr(ours, option.name), option.name
    assert Options.read(URL, theirs, theirs.load_record) == Options.read(URL, ours, ours.json)


def test_without_a_window_locust_decides_when_it_ends() -> None:
    assert options_for(URL, window="").window_s is None


def test_values_written_by_a_web_form_are_understood() -> None:
    options = options_for(URL, load="closed,open:5,", window=0.5, pipeline="2", spin=True)
    assert (options.loads, options.pipeline, options.spin) == ((Load("closed"), Load("open", 5.0)), 2, True)
