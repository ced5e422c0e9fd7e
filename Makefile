# Two commands matter: `make demo` and `make test`. Both set up everything they need in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-stack stack-build stack-up stack-status stack-down lint format lock screenshot clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("sloburn needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)  # half-made ones too
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo "Adding the development tools ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/run.stamp ## Watch a real service burn its error budget, get paged, and recover (ARGS=--keep to click around).
	@exec $(BIN)/python -m examples.shop.demo $(ARGS)

test: lint ## Run every check and test.
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

stack-build: $(VENV)/run.stamp ## Build the real stack: Collector, Prometheus, Jaeger, Loki, Alertmanager (needs Go).
	@$(BIN)/python -m collector.stack build

stack-up: $(VENV)/run.stamp ## Build what is missing and start the stack (ARGS="--slos PATH" for your own promises).
	@$(BIN)/python -m collector.stack up $(ARGS)

stack-status: $(VENV)/run.stamp ## Say how every server of the stack stands, and where it is.
	@$(BIN)/python -m collector.stack status $(ARGS)

stack-down: $(VENV)/run.stamp ## Stop the stack.
	@$(BIN)/python -m collector.stack down

test-stack: $(VENV)/dev.stamp stack-build ## Test against the real stack, failure drills included.
	@$(BIN)/python -m pytest tests/stack $(ARGS)

lint: $(VENV)/dev.stamp ## Check formatting, lint and types.
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

format: $(VENV)/dev.stamp ## Format the code.
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

lock: $(VENV)/dev.stamp ## Resolve the dependency ranges anew (needs uv).
	@uv pip compile pyproject.toml $(LOCK) --extra all --group examples -o requirements/run.txt
	@uv pip compile pyproject.toml $(LOCK) --extra all --group dev -c requirements/run.txt -o requirements/dev.txt
LOCK := --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url --no-header --quiet

screenshot: $(VENV)/dev.stamp ## Take the README's picture from a real run (needs Chromium).
	@$(BIN)/python -m examples.shop.screenshot

clean: ## Remove the environment and every cache.
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
