# The two commands: `make demo` sets everything up and runs the demo brand, `make test` sets everything up and checks it.
# Needs Python 3.11 or newer, pip and make; nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A home of its own, so that the demo never mixes with real data.
HETANG_HOME ?= $(CURDIR)/.hetang
export HETANG_HOME

.PHONY: help demo up check test external lint messages browser bench fuzz lock clean
.DEFAULT_GOAL := help

help: ## What one can make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo messages ## Install and run Hetang with the demo brand
	$(BIN)/hetang demo

up: $(VENV)/.product messages ## Install and run Hetang for a brand of your own
	$(BIN)/hetang up

check: $(VENV)/.demo messages ## Carry out the whole main job once, without a browser
	$(BIN)/hetang demo --check

test: $(VENV)/.dev lint browser ## Install, check style, types and import law, run all tests
	$(BIN)/pytest --numprocesses 2 --dist loadfile

external: $(VENV)/.dev ## Run the tests against PostgreSQL 15 as Debian installs it
	$(BIN)/python -m tests.external $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m tests.migrations

messages: # The Chinese of this working tree; installing compiled that of its day
	@$(PYTHON) -m tools.catalogs

browser:
	$(PYTHON) -m tests.browser_setup

bench: $(VENV)/.dev messages ## Run all benchmarks and write docs/performance.md
	$(BIN)/python -m benchmarks.report --size full

fuzz: $(VENV)/.dev ## Ask the API thousands of things that its schema allows and forbids
	HETANG_API_EXAMPLES=3000 $(BIN)/pytest tests/security/test_api_schema.py --timeout 1800

lock: $(VENV)/.dev ## Write requirements/*.lock anew from pyproject.toml
	$(BIN)/pip-compile $(LOCK) -o requirements/product.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra demo -o requirements/demo.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra demo --extra dev -o requirements/dev.lock pyproject.toml

LOCK := --quiet --upgrade --strip-extras --no-header --annotation-style=line \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

clean: ## Remove the environment and the demo's data
	rm -rf $(VENV) $(HETANG_HOME) build dist

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit("Hetang needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.product $(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: requirements/%.lock pyproject.toml $(VENV)/.created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/$*.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
