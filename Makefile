# Everything runs inside .venv; nothing here relies on what is on PATH but Python 3.11+.
PYTHON  ?= python3
BIN     := .venv/bin
DATASET ?= ml-100k
SAMPLERS ?= uniform popularity inbatch
LOSSES  ?= bpr bce softmax
SEEDS   ?= 10
JOBS    ?=
ARGS    ?=

.PHONY: help install install-dev bench test test-all test-methods check format golden docs benchmarks results defaults cluster lock clean
.DEFAULT_GOAL := help

help:  ## Print this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16
	@echo; echo "Example: make bench DATASET=ml-1m SAMPLERS=\"uniform popularity\" LOSSES=softmax SEEDS=3"

install: .venv/installed  ## Create .venv with what running needs

install-dev: .venv/developed  ## Add what working on it needs: tests, lint, types, Dask

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile  # what is imported compiles itself

# $(call ready,N): say in a sentence what is missing, where Python, its venv module or N MB of disk are.
define ready
@command -v $(PYTHON) > /dev/null || { \
  echo "There is no $(PYTHON) here; install Python 3.11 or later, or name one: make PYTHON=python3.12." >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); install Python 3.11 or later, or name one: make PYTHON=python3.12." >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
  echo "$(PYTHON) lacks its venv module; install it (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
@free=$$(df -Pk . | awk 'NR == 2 {print int($$4 / 1024)}'); test "$$free" -ge $(1) || { \
  echo "There are $$free MB free in $(CURDIR) and .venv needs $(1) MB; free some, or move the project." >&2; exit 1; }
endef

.venv/installed: requirements.lock pyproject.toml
	$(call ready,2200)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/developed: .venv/installed requirements-dev.lock
	$(call ready,1000)
	$(PIP) -r requirements-dev.lock
	@touch $@

bench: install  ## Compare samplers and losses: DATASET, SAMPLERS, LOSSES, SEEDS, JOBS, ARGS="…"
	@$(BIN)/python -m bench run --dataset "$(DATASET)" $(foreach s,$(SAMPLERS),--sampler $(s)) \
	  $(foreach l,$(LOSSES),--loss $(l)) --seeds $(SEEDS) $(if $(JOBS),--jobs $(JOBS)) $(ARGS)
	@echo; echo "Next: $(BIN)/bench compare $(SAMPLERS) --loss $(lastword $(LOSSES)) --dataset $(DATASET) --seeds $(SEEDS)$(if $(ARGS), $(ARGS))"

PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4

# Tests start Python hundreds of times: what it compiles is kept, whatever the environment says.
test test-all test-methods: export PYTHONDONTWRITEBYTECODE :=

test: install-dev  ## Run the tests but the slow ones; ARGS="…" goes to pytest
	$(PYTEST) $(ARGS)

test-all: install-dev  ## Run the slow tests too, as CI does
	$(PYTEST) -m "not long" $(ARGS)

test-methods: install-dev  ## Run what takes minutes each: every method on real data, kills, oracles of large sets
	$(BIN)/python -m pytest -m long $(ARGS)

check: install-dev  ## Lint, formatting and types, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install-dev  ## Format the code and fix what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

SET ?= ml-100k

results: install  ## Make or compare the published table SET=ml-100k; FRESH=1 makes it again elsewhere and compares
	@$(BIN)/python -m bench publish "results/$(SET)" $(if $(JOBS),--jobs $(JOBS)) \
	  $(if $(FRESH),--fresh "$$(mktemp -d)") $(ARGS)
	@$(BIN)/python -m bench.pages.results

GRID     := $(foreach s,uniform popularity inbatch,$(foreach l,bpr bce softmax,$(s)+$(l)))
DEFAULTS := $(BIN)/bench compare toppop $(GRID) --format json $(ARGS)
KEPT     := results/runs/defaults

defaults: install  ## Compare the default rows with popularity on five data sets, for docs/protocol.md
	$(DEFAULTS) --dataset ml-100k --seeds 5 --out $(KEPT)-1.json
	$(DEFAULTS) --dataset ml-1m-sasrec --seeds 1 --out $(KEPT)-2.json
	$(DEFAULTS) --dataset amazon-beauty-iclrec --seeds 1 --out $(KEPT)-3.json
	$(DEFAULTS) --dataset hetrec2011-lastfm-2k --split leave-random-one-out --seeds 1 --out $(KEPT)-4.json
	$(DEFAULTS) --dataset filmtrust --split leave-random-one-out --seeds 2 --out $(KEPT)-5.json
	$(BIN)/python -m bench.pages.defaults $(foreach n,1 2 3 4 5,$(KEPT)-$(n).json)

golden: install-dev  ## Write what moved in tests/golden and show it; name it under Results in CHANGELOG.md
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest -m golden
	git --no-pager diff --stat --patch --unified=0 -- tests/golden

docs: install-dev  ## Build the pages of docs/ as a site, site/index.html; a warning or a dead link stops it
	$(BIN)/python -m zensical build --strict

benchmarks: install-dev  ## Time the hot paths beside references; the ratios stand in one table at the end
	@mkdir -p results/runs
	$(BIN)/python -m pytest tests/benchmarks -m "" --benchmark-enable --benchmark-only \
	  --benchmark-json results/runs/benchmarks.json

WORKERS ?= 2
PORT    ?= 8786

cluster: install-dev  ## Start a Dask scheduler and WORKERS workers here, on PORT, until Ctrl-C
	@echo "Use it with: $(BIN)/bench compare uniform popularity --cluster tcp://127.0.0.1:$(PORT)"
	@trap 'kill 0' INT TERM EXIT; \
	  $(BIN)/dask scheduler --host 127.0.0.1 --port $(PORT) --no-dashboard & \
	  $(BIN)/dask worker tcp://127.0.0.1:$(PORT) --host 127.0.0.1 --nworkers $(WORKERS) --nthreads 1 --no-dashboard \
	    --local-directory "$${TMPDIR:-/tmp}" & \
	  wait

lock:  ## Pin what is installed in .venv, for running and for working on it
	$(BIN)/python .ci/lock.py

clean:  ## Remove the environment and caches, never results
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
