# echobench: `make help` lists what there is. The first target of a fresh machine makes the environment by itself.

PLAN ?= quick
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PACKAGES := servers loadgen harness analysis
# The newest Python that will do, unless named: make PYTHON=python3.12 setup
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
comma := ,
empty :=
space := $(empty) $(empty)
list = $(subst $(space),$(comma),$(strip $(1)))
RUN_OPTIONS := $(if $(MODELS),--models $(call list,$(MODELS))) $(if $(TRANSPORTS),--transports $(call list,$(TRANSPORTS))) \
	$(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: help setup bench bench-tcp bench-udp bench-ws bench-full calibrate gate report readme-figures notebooks test test-long conformance check benchmarks clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@echo 'echobench: which concurrency model, and what it costs'
	@echo
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'
	@echo
	@echo 'bench targets take MODELS="fork asyncio" TRANSPORTS="tcp ws" ROUNDS=6 PLAN=quick (a name of harness/plans or a file)'

setup: $(STAMP)  ## make the environment in .venv (nothing to do when nothing changed)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'make setup: no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3 setup' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'make setup: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=/path/to/python3 setup' >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo 'make setup: $(PYTHON) has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)' >&2; exit 2; }
	@echo 'Making the environment in $(VENV) (once, about a minute) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

bench: $(STAMP)  ## measure all models (PLAN=quick), print the ranking and where the report is
	@$(PY) -m harness run $(PLAN) $(RUN_OPTIONS) --report

bench-tcp: TRANSPORTS := tcp
bench-tcp: bench  ## the same over TCP only

bench-udp: TRANSPORTS := udp
bench-udp: bench  ## the same over UDP only

bench-ws: TRANSPORTS := ws
bench-ws: bench  ## the same over WebSocket only

bench-full: PLAN := full
bench-full: bench  ## six rounds of all that the reference run tells (half an hour; `echobench run --resume` goes on)

calibrate: $(STAMP)  ## measure what the load generator itself can do on this machine (4 minutes)
	@$(PY) -m harness calibrate

gate: $(STAMP)  ## compare the servers with where this branched off BASE=origin/main (3 to 9 minutes; docs/ci.md)
	@base=$$(git merge-base "$(or $(BASE),origin/main)" HEAD) || { echo 'make gate: there is no common commit with $(or $(BASE),origin/main); fetch it, or name another: make gate BASE=HEAD~1' >&2; exit 2; }; \
	$(PY) -m harness gate --base "$$base" $(RUN_OPTIONS) $(GATE_OPTIONS)

report: $(STAMP)  ## make the report of the newest run again, or of RUN=results/runs/...
	@$(PY) -m harness report $(or $(RUN),$(lastword $(sort $(wildcard results/runs/*))))

# RUN and OTHER reach the notebooks through the environment, into which make passes them on.
notebooks: $(STAMP)  ## execute the notebooks on the reference run, or on RUN=... (and OTHER=...), as HTML
	@$(PY) -m analysis.notebooks

readme-figures: $(STAMP)  ## write the results in README.md and their figures, from results/reference
	@$(PY) -m analysis.report.readme

test: $(STAMP)  ## run the tests (a few minutes)
	@$(PY) -m pytest -q -m 'not long'

test-long: $(STAMP)  ## run all tests, the long ones too
	@$(PY) -m pytest -q

conformance: $(STAMP)  ## run the conformance suite over all models
	@$(PY) -m pytest -q tests/conformance

check: $(STAMP)  ## lint, types, architecture
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/test_architecture.py

benchmarks: $(STAMP)  ## the figures of docs/performance.md: a quiet machine, a C compiler, 25 minutes
	@$(PY) -m benchmarks

clean:  ## remove the environment and what was built; results stay
	rm -rf $(VENV) benchmarks/build build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
