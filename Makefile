# `make run` sets up, makes the sample data, runs the whole pipeline and shows a search. `make test` runs all tests.
PYTHON ?= python3
QUERY ?= a red house left of a tree
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup sample run flickr8k lint format test docs lock clean

help:  ## Show this help
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(VENV)/.installed  ## Install the versions of requirements.lock into .venv

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "%s is Python %d.%d, expected 3.11 or newer. Name another one: make PYTHON=python3.11 ..." % (sys.executable, *sys.version_info[:2]))'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	$(VENV)/bin/uv pip sync --quiet --compile-bytecode --python $(VENV)/bin/python requirements.lock
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

sample: setup  ## Generate the sample data in data/raw/sample
	kadr sample data/raw/sample

run: sample  ## Run the stages that are out of date on the current settings, print the metrics, show a search
	python -m flows.pipeline
	kadr show
	kadr search "$(QUERY)" -k 5 --grid reports/search.png

flickr8k: setup  ## Run the whole pipeline on Flickr8k and print the metrics (docs/flickr8k.md)
	kadr use flickr8k
	python -m flows.pipeline
	kadr show

lint: setup  ## Check format, lint rules, types and layers
	ruff format --check
	ruff check
	mypy
	lint-imports

format: setup  ## Format the code and apply automatic fixes
	ruff format
	ruff check --fix

test: setup  ## Run all tests
	pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations 15

docs: setup  ## Build the documentation site in site/. A broken link is an error
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true mkdocs build --quiet

lock: setup  ## Pin the newest versions that pyproject.toml allows
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate --upgrade -o requirements.lock

clean:  ## Remove the environment and the site. Data, models and the embedding cache stay
	rm -rf $(VENV) site
