"""Plans: what is read, what is refused, and with which words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue import read_catalogue
from harness.environment import ROOT
from harness.generator import expected_s
from harness.interpreters import Interpreter
from harness.plan import Narrowing, find_plan, make_plan, plan_names, read_plan_file
from harness.plan_errors import PlanError
from harness.run import STARTING_S
from tests.harness.programs import catalogue, other_interpreter, small_document, small_plan


def refusal(**changes: Any) -> str:
    """Return the sentence with which a plan is refused."""
    with pytest.raises(PlanError) as refused:
        small_plan(**changes)
    sentence = str(refused.value)
    assert sentence.startswith("small.toml: ")
    assert "\n" not in sentence
    return sentence


def changed(table: str, **keys: Any) -> dict[str, Any]:
    """Return a table of the small plan with other keys."""
    return {table: {**small_document()[table], **keys}}


def test_every_plan_that_comes_with_the_harness_can_be_read() -> None:
    assert "quick" in plan_names()
    for name in plan_names():
        document = read_plan_file(find_plan(name))
        assert document["name"] == name


def test_the_quick_plan_is_all_models_and_three_rounds() -> None:
    document = read_plan_file(find_plan("quick"))
    assert (document["matrix"]["model"], document["rounds"]) == ("all", 3)


def test_what_the_plan_does_not_say_is_the_default() -> None:
    (scenario,) = small_plan().scenarios.values()
    assert (scenario.payload, scenario.pipeline, scenario.timeout_s, scenario.workers) == ("64", 1, 1.0, None)


def test_the_scenarios_are_the_product_of_the_matrix() -> None:
    plan = small_plan(**changed("matrix", model=["good", "noisy"], connections=[1, 2], loads=["closed", ["open:5"]]))
    assert len(plan.scenarios) == 8
    names = list(plan.scenarios)
    assert names[0] == "good-tcp-connections_1-loads_closed"
    assert names[-1] == "noisy-tcp-connections_2-loads_open_5"
    assert plan.scenarios[names[-1]].loads == ("open:5",)


def test_every_plan_that_comes_with_the_harness_is_one_for_our_servers() -> None:
    offers = read_catalogue((sys.executable, "-m", "servers"), ROOT)
    for name in plan_names():
        plan = make_plan(read_plan_file(find_plan(name)), name, offers)
        windows_s = plan.rounds * sum(expected_s(scenario) + STARTING_S for scenario in plan.scenarios.values())
        assert windows_s < 6 * 60 or name == "full", name
        assert plan.impossible == {}
        assert len({*plan.scenarios}) == len(plan.scenarios)
        assert not any(part.isdecimal() for scenario in plan.scenarios for part in scenario.split("-")[2:]), name


def test_the_plans_of_growth_go_as_far_as_they_say() -> None:
    offers = read_catalogue((sys.executable, "-m", "servers"), ROOT)
    for name in ("connections", "idle"):
        plan = make_plan(read_plan_file(find_plan(name)), name, offers)
        most: dict[str, int] = {}
        for scenario in plan.scenarios.values():
            most[scenario.model] = max(most.get(scenario.model, 0), scenario.held_connections)
        assert most == {"asyncio": 10_000, "fork": 2_000, "hybrid": 10_000, "selectors": 10_000, "thread": 10_000}


def test_work_is_part_of_the_names_where_it_varies() -> None:
    plan = small_plan(**changed("matrix", work=["echo", "cpu:100us", "cpu:1.5ms+wait:5ms"]))
    assert list(plan.scenarios) == ["good-tcp-work_echo", "good-tcp-work_cpu_100us", "good-tcp-work_cpu_1.5ms+wait_5ms"]
    assert plan.scenarios["good-tcp-work_cpu_100us"].work == "cpu:100us"
    assert list(small_plan(**changed("defaults", work="cpu:100us")).scenarios) == ["good-tcp"]


def test_interpreters_are_a_dimension_each_asked_once() -> None:
    asked = []

    def ask(named: str) -> Interpreter:
        asked.append(named)
        return other_interpreter("3.13")

    document = small_document(
        **changed("matrix", model=["good", "noisy"], python=["default", "3.13", "/opt/py/bin/py"])
    )
    plan = make_plan(document, "x", catalogue(), ask=ask)
    assert asked == ["3.13", "/opt/py/bin/py"]
    names = ["good-tcp-python_default", "good-tcp-python_3.13", "good-tcp-python__opt_py_bin_py"]
    assert list(plan.scenarios)[:3] == names
    assert [scenario.python for scenario in plan.scenarios.values()][:3] == [None, "3.13", "/opt/py/bin/py"]
    assert plan.interpreters["3.13"].version == (3, 13, 0)


def test_a_path_in_a_home_is_stored_without_it() -> None:
    named = str(Path.home() / "pythons/3.13/bin/python")
    document = small_document(**changed("defaults", python=named))
    plan = make_plan(document, "x", catalogue(), ask=lambda _: other_interpreter("3.13"))
    assert {scenario.python for scenario in plan.scenarios.values()} == {"~/pythons/3.13/bin/python"}
    assert list(plan.interpreters) == ["~/pythons/3.13/bin/python"]


def test_all_interpreters_are_those_that_are_found_and_are_stored_as_names() -> None:
    for table in ("matrix", "defaults"):
        plan = small_plan(**changed(table, python="all"))
        assert [scenario.python for scenario in plan.scenarios.values()] == [None, "3.13"]
        assert plan.document["matrix"]["python"] == ["default", "3.13"]
        assert make_plan(plan.document, "the stored plan", catalogue(), ask=other_interpreter) == plan


def test_what_an_interpreter_lacks_is_named_and_the_rest_can_be_measured() -> None:
    plan = small_plan(**changed("matrix", transport=["tcp", "udp"], python=["default", "3.13"]))
    assert len(plan.scenarios) == 4
    assert plan.impossible == {"good-udp-python_3.13": "transport udp is not available under 3.13: it has no datagrams"}


def test_options_are_a_dimension_where_they_mean_something() -> None:
    options = [[], ["--pace", "fast"], ["--pace", "faster"], ["--backlog", "7"]]
    plan = small_plan(**changed("matrix", model=["good", "noisy"], options=options))
    assert list(plan.scenarios) == [
        "good-tcp-options_default",
        "good-tcp-options_pace+fast",
        "good-tcp-options_pace+faster",
        "good-tcp-options_backlog+7",
        "noisy-tcp-options_default",
        "noisy-tcp-options_backlog+7",
    ]
    why = "--pace has no meaning for the model noisy; it goes with good"
    assert plan.left_out == (f"noisy-tcp-options_pace+fast: {why}", f"noisy-tcp-options_pace+faster: {why}")
    assert plan.impossible == {
        "good-tcp-options_pace+faster": "--pace faster is not available here: it needs a tail wind"
    }


def test_a_model_is_asked_for_as_many_connections_as_the_plan_says() -> None:
    matrix = changed("matrix", model=["good", "noisy"], connections=[5, 10], idle=[0, 5])
    plan = small_plan(**matrix, most_connections={"noisy": 10})
    assert [(s.connections, s.idle) for s in plan.scenarios.values() if s.model == "noisy"] == [(5, 0), (5, 5), (10, 0)]
    assert plan.left_out == ("noisy-tcp-connections_10-idle_5: [most_connections] asks noisy for 10 at most",)


def test_a_sweep_is_one_load_of_a_scenario_and_part_of_its_name_where_loads_vary() -> None:
    plan = small_plan(**changed("matrix", loads=[["closed"], ["closed", "sweep:5"]]))
    assert [scenario.loads for scenario in plan.scenarios.values()] == [("closed",), ("closed", "sweep:5")]
    assert list(plan.scenarios)[1] == "good-tcp-loads_closed+sweep_5"


def test_the_sweep_plan_sweeps_after_a_closed_window() -> None:
    document = read_plan_file(find_plan("sweep"))
    assert document["defaults"]["loads"] == ["closed", "sweep:5"]


def several(*matrices: dict[str, Any]) -> dict[str, Any]:
    """Return a plan of several matrices, each with what it says besides what all of them have."""
    return {"matrix": [{**small_document()["matrix"], **matrix} for matrix in matrices]}


def test_several_matrices_are_measured_one_after_the_other_and_what_two_of_them_say_once() -> None:
    plan = small_plan(**several({"connections": [1, 2]}, {"connections": [2], "work": ["echo", "cpu:1ms"]}))
    assert list(plan.scenarios) == [
        "good-tcp-connections_1-work_echo",
        "good-tcp-connections_2-work_echo",
        "good-tcp-connections_2-work_cpu_1ms",
    ]
    assert make_plan(plan.document, "the stored plan", catalogue()) == plan


def test_what_the_command_line_narrows_is_taken_out_of_every_matrix() -> None:
    given = several({"model": "all"}, {"model": ["noisy"], "connections": [9]}, {"model": ["good"], "idle": 3})
    plan = small_plan(Narrowing(models=("good",)), **given)
    assert list(plan.scenarios) == ["good-tcp-idle_0", "good-tcp-idle_3"]
    assert [matrix["model"] for matrix in plan.document["matrix"]] == [["good"], ["good"]]
    with pytest.raises(PlanError, match="--models names 'god'"):
        small_plan(Narrowing(models=("god",)), **given)


def test_all_interpreters_of_one_matrix_are_stored_as_its_names() -> None:
    plan = small_plan(**several({"python": "all"}, {"connections": [9]}))
    assert [matrix.get("python") for matrix in plan.document["matrix"]] == [["default", "3.13"], None]
    assert make_plan(plan.document, "the stored plan", catalogue(), ask=other_interpreter) == plan


def test_the_matrix_takes_the_place_of_a_default() -> None:
    plan = small_plan(**changed("matrix", connections=[8]))
    assert [scenario.connections for scenario in plan.scenarios.values()] == [8]


def test_all_stands_for_what_is_available_and_is_stored_as_names() -> None:
    plan = small_plan(**changed("matrix", model="all"))
    models = plan.document["matrix"]["model"]
    assert models == [choice.name for choice in catalogue().models if choice.available]
    assert "absent" not in models


def test_a_stored_plan_makes_the_same_plan_again() -> None:
    plan = small_plan(**changed("matrix", model="all"))
    assert make_plan(plan.document, "the stored plan", catalogue()) == plan


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"round": 3}, ["the top level", "'round'", "did you mean 'rounds'?"]),
        ({"rounds": 0}, ["rounds in the top level is 0", "a whole number from 1"]),
        ({"name": "../x"}, ["name in the top level is '../x'", "letters"]),
        ({"name": None}, ["name in the top level is missing"]),
        ({"matrix": 5}, ["matrix in the top level is 5", "[matrix]"]),
        ({"matrix": []}, ["matrix in the top level is []", "[[matrix]]"]),
        ({"matrix": {"transport": ["tcp"]}}, ["[matrix] lacks the key 'model'", '"all"']),
        (several({}, {"conections": [1]}), ["[[matrix]] 2 has no key 'conections'", "did you mean 'connections'?"]),
        (several({}, {"model": ["god"]}), ["[[matrix]] 2 names the unknown model 'god'"]),
        (several({"python": ["3.13", "/x/y"]}), ["python in [[matrix]] 1 names '/x/y'"]),
        (changed("defaults", windows_s=1), ["[defaults] has no key 'windows_s'", "did you mean 'window_s'?"]),
        (changed("matrix", conections=[1]), ["[matrix] has no key 'conections'", "did you mean 'connections'?"]),
        (changed("defaults", connections=0), ["connections in [defaults] is 0", "from 1 to 100,000"]),
        (changed("defaults", connections=True), ["connections in [defaults] is True"]),
        (changed("matrix", connections=[1, "2"]), ["connections in [matrix] is '2'"]),
        (changed("matrix", connections=[]), ["connections in [matrix] is an empty list"]),
        (changed("matrix", connections=[4, 4]), ["connections in [matrix] holds 4 twice"]),
        (changed("defaults", window_s=0), ["window_s in [defaults] is 0", "from 0.05 to"]),
        (changed("defaults", warmup_s=-1), ["warmup_s in [defaults] is -1", "from 0 to"]),
        (changed("defaults", window_s=float("inf")), ["window_s in [defaults] is inf"]),
        (changed("defaults", loads=["open:0"]), ["loads in [defaults]", '"open:RATE"']),
        (changed("defaults", loads=[3]), ["loads in [defaults] is [3]"]),
        (changed("defaults", loads=["sweep:5"]), ["loads in [defaults]", 'that a "closed" before it measured']),
        (changed("defaults", loads=["sweep:5", "closed"]), ["loads in [defaults]"]),
        (changed("defaults", loads=["closed", "sweep:51"]), ["loads in [defaults]", "1 to 50"]),
        (changed("defaults", payload="1-9"), ["payload in [defaults] is '1-9'", "a number of bytes"]),
        (changed("defaults", payload=9_999_999), ["payload in [defaults] is 9999999", "1,048,576"]),
        (changed("defaults", pin="0"), ["pin in [defaults] is '0'", '"0:1"']),
        (changed("defaults", pin="a:b"), ["pin in [defaults] is 'a:b'"]),
        (changed("defaults", mode="often"), ["mode in [defaults] is 'often'", '"persistent" or "churn"']),
        (changed("defaults", idle=-1), ["idle in [defaults] is -1", "a whole number from 0"]),
        (changed("defaults", payload="64:0.5"), ["payload in [defaults]", "parts that add up to 1"]),
        (changed("defaults", mode="churn", pipeline=2), ["nothing is left", "one request on a connection"]),
        (changed("defaults", work="cpu:1"), ["work in [defaults] is 'cpu:1'", '"cpu:TIME+wait:TIME"']),
        (changed("matrix", work=["echo", 5]), ["work in [matrix] is 5", '"echo"']),
        (changed("defaults", work="wait:1s"), ["nothing is left", "work wait:1s takes 1 s, and timeout_s is 1"]),
        (
            changed("defaults", work="wait:5ms", pipeline=200),
            ["nothing is left", "work wait:5ms for each of 200 requests takes 1 s"],
        ),
        (changed("defaults", options=["--work", "cpu:1us"]), ['--work has a key of its own, "work"']),
        (changed("defaults", python="3.12"), ["python in [defaults] names '3.12'", "there is no such thing"]),
        (changed("matrix", python=["3.13", "/x/y"]), ["python in [matrix] names '/x/y'", "can't be used"]),
        (changed("defaults", python=3.13), ["python in [defaults] is 3.13", '"3.13"', '"default"']),
        (changed("defaults", python="python"), ["python in [defaults] is 'python'", "the path of an interpreter"]),
        (changed("matrix", python=["bin/python"]), ["python in [matrix] is 'bin/python'", "from the root"]),
        (changed("matrix", python=["all", "3.13"]), ['python in [matrix] holds "all" beside others']),
        (changed("matrix", options=["--pace", "fast"]), ["options in [matrix] is '--pace'", "a list of texts"]),
        ({"most_connections": {"god": 5}}, ["[most_connections] has no key 'god'", "did you mean 'good'?"]),
        ({"most_connections": {"good": 0}}, ["good in [most_connections] is 0", "from 1 to 100,000"]),
        (changed("defaults", options=["--port", "1"]), ["options in [defaults]", "--port is set by the harness"]),
        (changed("defaults", options=["--workers=3"]), ["--workers has a key of its own"]),
        (changed("defaults", options="--backlog 1"), ["options in [defaults]", "a list of texts"]),
        (changed("matrix", model=["god"]), ["unknown model 'god'", "did you mean 'good'?", "there are good,"]),
        (changed("matrix", model=["absent"]), ["model 'absent'", "not available here: it needs a moon"]),
        (changed("matrix", transport=["tcpp"]), ["unknown transport 'tcpp'", "did you mean 'tcp'?"]),
    ],
)
def test_a_mistake_is_told_with_its_key_its_place_and_what_is_allowed(
    changes: dict[str, Any], words: list[str]
) -> None:
    sentence = refusal(**changes)
    assert [word for word in words if word not in sentence] == [], sentence


def foreign(**table: Any) -> dict[str, Any]:
    """Return the changes that make a foreign server a model."""
    server = {"command": ["node", "echo.js"], **table}
    return {"servers": {"mine": server}, **changed("matrix", model=["good", "mine"], transport=["tcp", "udp"])}


def test_a_foreign_server_is_a_model_where_it_speaks_the_transport() -> None:
    plan = small_plan(**foreign())
    assert list(plan.scenarios) == ["good-tcp", "good-udp", "mine-tcp"]
    assert plan.servers["mine"].command == ("node", "echo.js")
    assert plan.left_out == ("mine-udp: [servers.mine] does not speak udp",)


def test_choices_that_contradict_each_other_are_left_out_with_the_reason() -> None:
    plan = small_plan(**changed("matrix", transport=["tcp", "udp"], mode=["persistent", "churn"]))
    assert {(scenario.transport, scenario.mode) for scenario in plan.scenarios.values()} == {
        ("tcp", "persistent"),
        ("tcp", "churn"),
        ("udp", "persistent"),
    }
    assert plan.left_out == ('good-udp-mode_churn: mode = "churn" makes connections, and udp has none',)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (foreign(command=[]), ["command in [servers.mine] is []"]),
        (foreign(command="node"), ["command in [servers.mine] is 'node'", "a list of texts"]),
        (foreign(transports=["tpc"]), ["[servers.mine] names the unknown transport 'tpc'"]),
        (foreign(transport=["tcp"]), ["[servers.mine] has no key 'transport'", "did you mean 'transports'?"]),
        ({"servers": {"good": {"command": ["x"]}}}, ["[servers.good] can't have this name"]),
        ({"servers": {"mine": 3}}, ["mine in [servers] is 3"]),
        ({**foreign(), **changed("matrix", model=["mine"], workers=[2])}, ["[servers.mine] takes none"]),
        (
            {**foreign(), **changed("matrix", model=["mine"], work=["echo", "cpu:1us"])},
            ["[servers.mine] takes none", "the plan gives it work"],
        ),
        (
            {**foreign(), **changed("matrix", model=["mine"], python=["3.13"])},
            ["[servers.mine] takes none", "the plan gives it python"],
        ),
        ({**foreign(), **changed("matrix", model=["mine"], transport=["udp"])}, ["nothing is left to measure"]),
    ],
)
def test_a_mistake_about_a_foreign_server_is_told(changes: dict[str, Any], words: list[str]) -> None:
    sentence = refusal(**changes)
    assert [word for word in words if word not in sentence] == [], sentence


def test_the_command_line_narrows_a_plan() -> None:
    narrowing = Narrowing(models=("noisy",), transports=("tcp",), rounds=1)
    plan = small_plan(narrowing, **changed("matrix", model=["good", "noisy"]))
    assert plan.order() == [("noisy-tcp", 1)]
    assert plan.document["rounds"] == 1
    assert plan.document["matrix"]["model"] == ["noisy"]


@pytest.mark.parametrize(
    ("narrowing", "words"),
    [
        (Narrowing(models=("noisy",)), ["--models names 'noisy'", "is not in the plan"]),
        (Narrowing(transports=("ws",)), ["--transports names 'ws'"]),
        (Narrowing(rounds=0), ["--rounds in the command line is 0"]),
    ],
)
def test_what_a_plan_does_not_hold_can_not_be_chosen(narrowing: Narrowing, words: list[str]) -> None:
    sentence = refusal(narrowing=narrowing)
    assert [word for word in words if word not in sentence] == [], sentence


def test_an_unavailable_model_that_is_narrowed_away_does_no_harm() -> None:
    plan = small_plan(Narrowing(models=("good",)), **changed("matrix", model=["good", "absent"]))
    assert list(plan.scenarios) == ["good-tcp"]


def test_every_round_holds_every_scenario_in_an_order_of_its_own_that_the_seed_fixes() -> None:
    models = ["good", "noisy", "silent", "garbage", "fragile", "stubborn"]
    plan = small_plan(**changed("matrix", model=models))
    rounds = [[name for name, round_ in plan.order() if round_ == number] for number in (1, 2, 3)]
    assert all(sorted(names) == sorted(plan.scenarios) for names in rounds)
    assert [round_ for _, round_ in plan.order()] == sorted(round_ for _, round_ in plan.order())
    assert len({tuple(names) for names in rounds}) == 3
    assert small_plan(**changed("matrix", model=models)).order() == plan.order()
    assert small_plan(**changed("matrix", model=models), seed=8).order() != plan.order()


def test_an_unknown_plan_is_told_with_those_there_are() -> None:
    with pytest.raises(PlanError, match=r"no plan 'quik' \(did you mean 'quick'\?\)"):
        find_plan("quik")


def test_a_file_that_is_no_toml_is_told_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("name = 'x'\nrounds = = 3\n", encoding="utf-8")
    with pytest.raises(PlanError, match=r"broken\.toml is no TOML: .*line 2"):
        read_plan_file(path)


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="can't be read: Is a directory"):
        read_plan_file(tmp_path)
