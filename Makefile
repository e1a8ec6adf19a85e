# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TYPED := .cache/typed

.DEFAULT_GOAL := help
.PHONY: help run test bench scorecard simulate soak mutation lint setup servers kube-assets helm unleash aws clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(READY) ## a virtual environment from the hash-locked requirements

run: $(READY) ## the demo: a real service breaks twice, rollbackd puts it back twice
	$(BIN)/rollbackd demo

servers: ## as root on Debian: the servers that the tests talk to
	@.ci/servers

kube-assets: ## a real Kubernetes control plane for the tests: built once, by the Go toolchain
	@.ci/kube-assets

helm: ## helm for the tests of the chart: built once, by the Go toolchain
	@.ci/helm

unleash: $(READY) ## the Unleash server that the tests talk to, into .cache
	@.ci/unleash

aws: $(READY) ## the stand-ins for Amazon that the tests talk to, into .cache
	@.ci/aws

test: $(READY) servers kube-assets helm unleash aws ## all tests
	$(BIN)/python -m pytest

bench: $(READY) servers kube-assets unleash ## the figures of docs/benchmarks.md
	$(BIN)/python -m tests.bench

scorecard: $(READY) ## the figures of docs/accuracy.md: how often rollbackd is wrong, beside baselines
	$(BIN)/python -m tests.bench.scorecard --write

N ?= 2000
simulate: $(READY) ## N=100000 incidents with faults on virtual time, on all cores; SEED=7 tells one story again, FIRST=7 begins there
	$(BIN)/python -m tests.simulation $(N) $(if $(SEED),--seed $(SEED)) $(if $(FIRST),--first $(FIRST))

mutation: $(READY) ## which small faults, planted in what decides, no test notices; MODULES=policies/decide/step.py, SAMPLE=60, AGAIN=1 tries only those
	$(BIN)/python -m tests.mutation $(MODULES) $(if $(TESTS),--tests $(TESTS)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(AGAIN),--survivors)

# mypy and import-linter read the packages under the names they are installed by.
$(TYPED)/rollbackd:
	@mkdir -p $@ && for part in policies adapters controller; do ln -sfn $(CURDIR)/$$part $@/$$part; done

MINUTES ?= 30
DAYS ?= 30
soak: $(READY) servers ## MINUTES=30 of the shipped daemon with faults on, DAYS=30 of virtual time: what it costs, and whether that grows
	$(BIN)/python -m tests.soak --minutes $(MINUTES)
	$(BIN)/python -m tests.soak.days --days $(DAYS)

lint: $(READY) $(TYPED)/rollbackd ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	MYPYPATH=$(TYPED) $(BIN)/mypy -p rollbackd
	PYTHONPATH=$(TYPED) $(BIN)/lint-imports

clean: ## remove everything that the targets made
	rm -rf $(VENV) .cache build *.egg-info
