# Two commands do everything: `make demo` shows the main job, `make test` proves it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SYSTEM_PACKAGES := bubblewrap haproxy debian-archive-keyring

.PHONY: help demo serve test lint unit engines bench client-bench clean system

help: ## Show what can be done here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(STAMP) system ## Upgrade a live MariaDB and a live Valkey cluster and show what was measured
	@$(BIN)/python -m demo

serve: $(STAMP) system ## Run the service on this machine
	@$(BIN)/trove-standalone

test: $(STAMP) system lint unit engines ## Check style, types and layers, then run every test on real engines

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(STAMP)
	$(BIN)/pytest -m "not engine"

engines: $(STAMP) system
	$(BIN)/pytest -m engine

bench: $(STAMP) system ## Measure upgrades against the bare recipe, and the API
	$(BIN)/python benchmarks/upgrade.py
	$(BIN)/python benchmarks/api.py

client-bench: $(STAMP) ## Measure the start-up of the command line
	$(BIN)/python benchmarks/client.py

$(STAMP): pyproject.toml troveclient/pyproject.toml
	@$(PYTHON) tools/install_python.py $(VENV)
	@touch $@

system:
	@sh tools/install_system.sh $(SYSTEM_PACKAGES)

clean: ## Remove the virtual environment and caches (databases stay: see `trove-manage purge`)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
