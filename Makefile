# Everything runs inside .venv; nothing here relies on what is on PATH but Python 3.11+.
PYTHON  ?= python3
BIN     := .venv/bin
DATASET ?= ml-100k
SAMPLERS ?= uniform popularity inbatch
LOSSES  ?= bpr bce softmax
SEEDS   ?= 10
JOBS    ?=
ARGS    ?=

.PHONY: help install bench test test-all check format golden benchmarks results defaults cluster lock clean
.DEFAULT_GOAL := help

help:  ## Print this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14
	@echo; echo "Example: make bench DATASET=ml-1m SAMPLERS=\"uniform popularity\" LOSSES=softmax SEEDS=3"

install: .venv/installed  ## Create .venv from the pinned lock file

.venv/installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

bench: install  ## Compare samplers and losses: DATASET, SAMPLERS, LOSSES, SEEDS, JOBS, ARGS="…"
	@$(BIN)/python -m bench run --dataset "$(DATASET)" $(foreach s,$(SAMPLERS),--sampler $(s)) \
	  $(foreach l,$(LOSSES),--loss $(l)) --seeds $(SEEDS) $(if $(JOBS),--jobs $(JOBS)) $(ARGS)
	@echo; echo "Next: $(BIN)/bench compare $(SAMPLERS) --loss $(lastword $(LOSSES)) --dataset $(DATASET) --seeds $(SEEDS)"

test: install  ## Run the tests
	$(BIN)/python -m pytest

test-all: install  ## Run the tests and those that train every method on real data
	$(BIN)/python -m pytest -m "slow or not slow"

check: install  ## Lint, formatting and types, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install  ## Format the code and fix what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

GRID := $(foreach s,uniform popularity inbatch,$(foreach l,bpr bce softmax,$(s)+$(l)))
REFERENCE := $(BIN)/bench table $(GRID) --seeds 10

results: install  ## Make the committed reference tables again
	@$(MAKE) --no-print-directory bench DATASET=ml-100k SEEDS=10 > /dev/null
	$(REFERENCE) --out results/ml-100k.txt
	$(REFERENCE) --format markdown --out results/ml-100k.md
	$(REFERENCE) --format json --out results/ml-100k.json

DEFAULTS := $(BIN)/bench compare toppop $(GRID) --format json $(ARGS)
KEPT     := results/runs/defaults

defaults: install  ## Compare the default rows with popularity on five data sets, for docs/protocol.md
	$(DEFAULTS) --dataset ml-100k --seeds 5 --out $(KEPT)-1.json
	$(DEFAULTS) --dataset ml-1m-sasrec --seeds 1 --out $(KEPT)-2.json
	$(DEFAULTS) --dataset amazon-beauty-iclrec --seeds 1 --out $(KEPT)-3.json
	$(DEFAULTS) --dataset hetrec2011-lastfm-2k --split leave-random-one-out --seeds 1 --out $(KEPT)-4.json
	$(DEFAULTS) --dataset filmtrust --split leave-random-one-out --seeds 2 --out $(KEPT)-5.json
	$(BIN)/python -m bench.pages.defaults $(foreach n,1 2 3 4 5,$(KEPT)-$(n).json)

golden: install  ## Freeze the results of every method again; say under Results what moved
	PYTHONPATH=. $(BIN)/python tests/test_golden.py

benchmarks: install  ## Time the hot paths with pytest-benchmark
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only

WORKERS ?= 2
PORT    ?= 8786

cluster: install  ## Start a Dask scheduler and WORKERS workers here, on PORT, until Ctrl-C
	@echo "Use it with: $(BIN)/bench compare uniform popularity --cluster tcp://127.0.0.1:$(PORT)"
	@trap 'kill 0' INT TERM EXIT; \
	  $(BIN)/dask scheduler --host 127.0.0.1 --port $(PORT) --no-dashboard & \
	  $(BIN)/dask worker tcp://127.0.0.1:$(PORT) --host 127.0.0.1 --nworkers $(WORKERS) --nthreads 1 --no-dashboard \
	    --local-directory "$${TMPDIR:-/tmp}" & \
	  wait

lock:  ## Pin what is installed in .venv to requirements.lock
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' > requirements.lock

clean:  ## Remove the environment and caches, never results
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
