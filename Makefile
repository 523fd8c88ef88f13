# Everything a person types here. Needs make and Python >= 3.11, nothing else: the tools
# install themselves below this directory (.uv, .venv, .peers).

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
UV ?= .uv/bin/uv
BIN := .venv/bin
PYTEST_ARGS ?=
# of the fault matrix: its cells mostly wait
WORKERS ?= 4
# KEEP=1 leaves the demo's cluster and Prefect running
KEEP ?=

# uv uses the interpreter that make was given, and fetches none
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

.PHONY: help
help: ## show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: .venv/.sandbox ## back up, destroy, restore, drill and prune a cluster of three shards on this machine (KEEP=1: leave it running)
	@$(BIN)/python -m deployments.sandbox.demo $(if $(filter-out 0,$(KEEP)),--keep)

.PHONY: demo-stop
demo-stop: .venv/.sandbox ## stop a demo that was left running
	@$(BIN)/python -m deployments.sandbox.demo --stop

.PHONY: test
test: .venv/.dev peers ## every test this machine can run (REQUIRE_PEERS=1: a missing server is a failure)
	$(BIN)/pytest $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: .venv/.dev ## the tests that start no server
	$(BIN)/pytest tests/unit $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: .venv/.dev peers ## the whole fault matrix, and its page in docs (WORKERS=4 clusters side by side; PYTEST_ARGS='--cells drop')
	@$(BIN)/pytest tests/faults --every-cell --cells-report .faults/cells.json -n $(WORKERS) $(PYTEST_ARGS); ended=$$?; \
	  $(BIN)/python -m tests.faults .faults/cells.json > docs/reference/fault-matrix.md; exit $$ended

.PHONY: bench
bench: .venv/.dev ## what operations cost as shards, tables and parts are added, as tables for docs/reference/scale.md
	@$(BIN)/python -m tests.benchmarks.tables
	@$(BIN)/python -m tests.benchmarks.engine
	@$(BIN)/python -m tests.benchmarks.shards

.PHONY: lint
lint: .venv/.dev ## all that CI checks besides tests, as the commit hooks define it
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

.PHONY: peers
peers: .venv/.dev ## install the real servers that tests want and this machine can have
	@$(BIN)/python -m tests.peers

.PHONY: clean
clean: ## remove everything that make installed or built
	@test ! -d .demo || $(MAKE) demo-stop
	rm -rf .venv .uv .peers .sandbox .demo .faults build dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: one per set of packages. --inexact: the smaller set never removes the larger one.
.venv/.sandbox: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --inexact --python $(PYTHON) --extra sandbox
	@touch $@

.venv/.dev: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --python $(PYTHON) --extra dev
	@touch .venv/.sandbox $@

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "chops needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.7'
