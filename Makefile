# `make run` sets up, makes the sample data, runs the whole pipeline and shows a search. `make test` tests it all.
PYTHON ?= python3
QUERY ?= a red house left of a tree
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup sample run lint format deps test lock clean

help:  ## Show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(VENV)/.installed  ## Install everything that requirements.lock pins into .venv

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kadr wants Python 3.11 or newer, %s is %d.%d; try `make PYTHON=python3.11 ...`" % (sys.executable, *sys.version_info[:2]))'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	$(VENV)/bin/uv pip sync --quiet --compile-bytecode --python $(VENV)/bin/python requirements.lock
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

sample: setup  ## Draw the sample data into data/raw/sample (once)
	kadr sample data/raw/sample

run: sample  ## Run the whole pipeline (only what is stale), print its figures and answer one search
	python -m flows.pipeline
	kadr show
	kadr search "$(QUERY)" -k 5 --grid reports/search.png

lint: setup  ## Check format, rules, types and the rooms' order
	ruff format --check
	ruff check
	mypy
	lint-imports

format: setup  ## Mend format and what of the rules mends itself
	ruff format
	ruff check --fix

deps: setup  ## Rewrite the code dependencies in dvc.yaml from the imports of each stage
	python -m kadr.operations.code_dependencies

test: setup  ## Run all tests
	pytest --numprocesses 2 --dist loadfile --durations 15

lock: setup  ## Pin the newest versions that pyproject.toml allows
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate --upgrade -o requirements.lock

clean:  ## Remove the environment; data, models and the embedding cache stay
	rm -rf $(VENV)
