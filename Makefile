# One command each, the same here and in CI. Every target sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The CPU build on disk or the one that is installed: a bare `torch` may draw gigabytes of CUDA.
TORCH  := torch==2.13.0
CORES  := $(shell nproc)

.PHONY: setup demo check test bench accuracy clean

setup: $(VENV)/.dev ## everything, for working on Cairn itself

demo: $(VENV)/.core ## people in an example picture, with the embedded model, offline
	$(BIN)/cairn detect examples/portraits.jpg --out demo --draw --write json
	@echo "Look at demo/portraits.cairn.jpg"

check: $(VENV)/.dev ## style, types, and that each floor imports only from floors below
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev ## all tests; those marked `data` skip where the data sets are absent
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(CORES)

bench: $(VENV)/.dev ## the figures of the documentation, measured here
	for script in decoding detect video tracking drawing hourglass landmarks depthwise; do echo "== $$script"; $(BIN)/python benchmarks/$$script.py || exit 1; done

accuracy: $(VENV)/.dev ## the figures of the embedded models' cards, measured again where the data sets are in .data
	$(BIN)/python benchmarks/accuracy/cards.py .data

clean:
	rm -rf $(VENV) demo build dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) $(TORCH)
	$(PIP) --editable '.[train,dev]'
	touch $@ $(VENV)/.core
