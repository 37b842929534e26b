# `make demo` and `make test` need python3 (3.11 or later) and root or sudo, and set up the rest themselves.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

export UV_PYTHON_DOWNLOADS ?= never
# Python may keep what it has compiled: otherwise each start of Terrace and Ansible compiles it anew.
unexport PYTHONDONTWRITEBYTECODE
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
RUN := $(UV) run --frozen --no-sync
READY := .venv/.ready
ENV ?= local
# Tests that need no platform; several run at once.
FAST := -n 2 tests/unit tests/components tests/engine tests/policies

.PHONY: help demo test fast drills cluster-tests model model-tests check format bench docs lock clean hooks

help: ## Show what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Bring the platform up on this machine and run a real ML project through it
	$(RUN) terrace demo $(ENV) --yes

test: check ## Check everything, then run the tests, those on a live platform too; not drills and cluster-tests
	$(RUN) pytest $(FAST) --cov --cov-report=
	$(RUN) pytest tests/host -m "not drill" --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=90
	$(MAKE) model-tests

fast: $(READY) ## Run the tests that need no platform
	$(RUN) pytest $(FAST)

drills: $(READY) ## Run the tests that take platforms and machines apart
	$(RUN) pytest tests/host -m drill

cluster-tests: $(READY) ## Run the tests on a control plane of Kubernetes and a registry, which they build
	$(RUN) pytest tests/kubernetes

model: $(READY) ## Train and judge the example's model here, without a platform
	$(UV) run --frozen --directory examples/flights flights rehearse

model-tests: $(READY) ## Run the example project's own tests
	$(UV) run --frozen --group dev --directory examples/flights pytest

check: $(READY) ## Check style, types, roles, and that generated pages are up to date
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) yamllint --strict .
	cd ansible && $(abspath .venv)/bin/ansible-lint --offline --profile production
	$(RUN) python scripts/reference.py --check

format: $(READY) ## Format the code
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: $(READY) ## Measure and print medians beside the goals (DEMO=1: the whole demo too; QUICK=1: ENV alone)
	$(RUN) python -m benchmarks $(if $(DEMO),--demo) $(if $(QUICK),--quick) $(ENV)

docs: $(READY) ## Generate the reference pages
	$(RUN) python scripts/reference.py

lock: $(READY) ## Resolve the locked dependencies anew
	$(UV) lock --upgrade

hooks: $(READY) ## Have Git run the checks before each commit
	$(RUN) pre-commit install

clean: ## Remove what make has made in this folder
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov dist

$(READY): pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen
	@touch $@

.uv/bin/uv: scripts/bootstrap components/locks/uv.txt
	scripts/bootstrap
