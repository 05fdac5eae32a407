SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
IMAGES ?=
BENCHMARK ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test lint benchmark growth cluster clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## build the environment in .venv (quick when nothing changed)
	@VENV=$(VENV) bash scripts/setup.sh

run: setup  ## tag a small catalog and show the result; IMAGES=DIR takes your own pictures
	@$(PY) jobs/demo.py $(if $(IMAGES),--images "$(IMAGES)")

lint: setup  ## style and types
	@$(PY) -m ruff check .
	@$(PY) -m mypy

test: lint  ## lint, then every test
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

benchmark: setup  ## this job beside what users would pick; IMAGES=DIR, BENCHMARK="--rounds 5"
	@VENV=$(VENV) bash benchmarks/setup.sh
	@.venv-benchmark/bin/python -m benchmarks.side_by_side $(if $(IMAGES),--images "$(IMAGES)") $(BENCHMARK)

growth: setup  ## seconds of the job against images and tasks; IMAGES=DIR, BENCHMARK="--count 500"
	@$(PY) -m benchmarks.growth $(if $(IMAGES),--images "$(IMAGES)") $(BENCHMARK)

cluster: setup  ## the job on a standalone cluster of this machine, with faults; IMAGES=DIR
	@$(PY) -m benchmarks.cluster $(if $(IMAGES),--images "$(IMAGES)") $(BENCHMARK)

clean:  ## remove what runs and tools left behind; keeps .venv
	@rm -rf build dist runs spark-warehouse metastore_db derby.log .ruff_cache .mypy_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
