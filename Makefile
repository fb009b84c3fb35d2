# What can be done in this folder. `make` alone lists it.
#
# Everything runs in .venv, which is made on first use and made up to date whenever setup.py or
# pyproject.toml change. Nothing but a Python from 3.10 to 3.13 is needed beforehand. What must not
# share an environment with it has its own: the emulators' servers, Airflow, and Beam's Google parts,
# which would slow each start of Beam.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
EMULATORS := .venv-emulators
DATAFLOW := .venv-dataflow
AIRFLOW := .venv-airflow
IMAGES := dataflow/Dockerfile schedules/Dockerfile ship/Containerfile
TERRAFORM := .venv-terraform
PYTHON ?=
PYTHONS := $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo cloud test test-flink check faults bench clean venv nginx programs

help: ## list what can be done (this)
	@echo "Pixelship. What make can do here:"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.dev ## a real nginx, real requests, the main job, and what came out of it
	@$(BIN)/python -m demo

cloud: $(EMULATORS)/.installed ## Cloud Storage and BigQuery on this machine, with logs in them, until Ctrl-C
	@$(BIN)/python -m emulators.cloud

test: $(VENV)/.dev $(EMULATORS)/.installed $(DATAFLOW)/.installed $(AIRFLOW)/.installed $(TERRAFORM)/google.json nginx programs ## all tests, with coverage
	@echo "· running the tests"
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --cov --cov-report=term:skip-covered

test-flink: $(VENV)/.dev $(EMULATORS)/.installed ## the job on a real Flink cluster, and on Prism (wants Java, Maven, Go)
	@$(BIN)/python -m runners.install
	@echo "· running the tests"
	@$(BIN)/python -m pytest runners/tests
	@echo "· timing one and two task managers"
	@$(BIN)/python -m benchmarks.flink --quick

check: $(VENV)/.dev $(TERRAFORM)/google.json nginx ## linters, types, architecture, containers; nginx -t and gixy; terraform validate and checkov
	@failed=; \
	run() { \
	  echo "· $$1"; shift; \
	  said=$$("$(BIN)/$$@" 2>&1) || { failed=1; echo "$$said"; }; \
	}; \
	run "ruff check" ruff check --quiet --output-format concise .; \
	run "ruff format --check" ruff format --check .; \
	run "mypy" mypy; \
	run "lint-imports" lint-imports; \
	run "hadolint" hadolint $(IMAGES); \
	run "nginx -t, gixy" python -m demo.server; \
	run "terraform fmt, terraform validate, checkov" python -m tfcheck; \
	test -z "$$failed"

faults: $(EMULATORS)/.installed ## kill, cut and refuse at every step, and see that each view counts once
	@$(BIN)/python -m faults

bench: $(VENV)/.bench $(DATAFLOW)/.installed $(EMULATORS)/.installed ## the benchmarks: a table, and a chart file (takes minutes)
	@$(BIN)/python -m benchmarks

clean: ## remove all that make made, .venv too
	@rm -rf $(VENV) $(EMULATORS) $(DATAFLOW) $(AIRFLOW) $(TERRAFORM) .runners demo/out benchmarks/.data build dist *.egg-info .coverage htmlcov
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: $(VENV)/.dev

nginx: $(VENV)/.dev
	@$(BIN)/python -m demo.install

programs: $(VENV)/.dev
	@$(BIN)/python -m demo.install node php openssl

# The environments, by stamps: .dev for tests, checks and the demonstration, .bench for its peers.

$(VENV)/.dev: setup.py pyproject.toml $(VENV)/.made
	@echo "· installing pixelship and its tools into $(VENV) (once; about a minute)"
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@echo "· installing the benchmarks' peers into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

$(EMULATORS)/.installed: emulators/requirements.txt $(VENV)/.dev
	@$(BIN)/python -m emulators.install
	@touch $@

# What Pixelship needs on Dataflow, without Pixelship itself: tests put what they built beside it.
$(DATAFLOW)/.installed: pyproject.toml $(VENV)/.dev
	@echo "· installing what Dataflow needs into $(DATAFLOW) (once; about a minute)"
	@$(BIN)/uv venv --quiet --allow-existing --seed --python $(BIN)/python $(DATAFLOW)
	@$(BIN)/uv pip install --quiet --python $(DATAFLOW)/bin/python --requirements pyproject.toml --extra dataflow
	@touch $@

$(AIRFLOW)/.installed: schedules/airflow-requirements.txt $(VENV)/.dev
	@echo "· installing Airflow into $(AIRFLOW) (once; about a minute)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(AIRFLOW)
	@$(BIN)/uv pip install --quiet --python $(AIRFLOW)/bin/python --requirements $<
	@touch $@

$(TERRAFORM)/google.json: tfcheck/provider-requirements.txt tfcheck/schema.py $(TERRAFORM)/.installed
	@echo "· reading the Google provider's schema (once; a download of 50 MB)"
	@rm -rf $(TERRAFORM)/wheel
	@$(TERRAFORM)/bin/python -m pip download --quiet --no-deps --dest $(TERRAFORM)/wheel --requirement $<
	@$(TERRAFORM)/bin/python -m tfcheck.schema $(TERRAFORM)/wheel/*.whl $@
	@rm -r $(TERRAFORM)/wheel

$(TERRAFORM)/.installed: tfcheck/requirements.txt
	@echo "· installing checkov into $(TERRAFORM) (once; about two minutes)"
	@for python in $(PYTHONS); do \
	  "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  "$$python" -m venv --clear $(TERRAFORM); \
	  $(TERRAFORM)/bin/python -m pip install --quiet --requirement $<; \
	  touch $@; \
	  exit; \
	done; \
	echo "The checks of terraform/ want a Python from 3.11 on with its venv module, and none is on PATH." >&2; \
	exit 1

$(VENV)/.made:
	@for python in $(PYTHONS); do \
	  "$$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	    2>/dev/null || continue; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || { without_venv=$$python; continue; }; \
	  echo "· making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV) && touch $@; \
	  exit; \
	done; \
	if [ -n "$${without_venv:-}" ]; then \
	  echo "$$without_venv lacks its venv module: install it (on Debian: apt install python3-venv)." >&2; \
	else \
	  echo "Python 3.10 to 3.13 is needed, and none is on PATH: install one, or say make PYTHON=/path/to/it." >&2; \
	fi; \
	exit 1
