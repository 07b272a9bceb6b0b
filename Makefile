# One command per task, the same locally and in CI. Each target installs what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The CPU build of torch first: the default build downloads gigabytes of CUDA libraries.
TORCH  := torch==2.13.0
CORES  := $(shell nproc)

.PHONY: setup demo check vocabulary test notebooks docs docs-serve bench accuracy build clean

setup: $(VENV)/.dev ## development environment in .venv

demo: $(VENV)/.core ## detect people in the example image with the bundled model, offline
	$(BIN)/cairn detect examples/portraits.jpg --out demo --draw --write json
	@echo "Open demo/portraits.cairn.jpg"

check: $(VENV)/.dev vocabulary ## lint, format, types, import layers, spelling and vocabulary
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

vocabulary: $(VENV)/.dev ## spelling (codespell) and banned phrases (tools/vocabulary.toml)
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/python tools/check_vocabulary.py

test: $(VENV)/.dev $(VENV)/.browser ## all tests; tests marked `data` skip where the data sets are absent
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(CORES)

notebooks: $(VENV)/.dev ## run the notebooks of examples/ on small inputs
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/docs/test_notebooks.py

docs: $(VENV)/.dev ## documentation site in site/; fails on broken links
	PATH="$(CURDIR)/$(BIN):$$PATH" NO_MKDOCS_2_WARNING=1 mkdocs build --strict

docs-serve: $(VENV)/.dev ## documentation site at http://127.0.0.1:8000, rebuilt on change
	PATH="$(CURDIR)/$(BIN):$$PATH" NO_MKDOCS_2_WARNING=1 mkdocs serve --livereload

bench: $(VENV)/.dev ## the speed tables of the documentation, measured on this machine
	for script in decoding detect video tracking drawing hourglass landmarks depthwise; do echo "== $$script"; $(BIN)/python benchmarks/$$script.py || exit 1; done

accuracy: $(VENV)/.dev ## the metrics of the model zoo, measured where the data sets are in .data
	$(BIN)/python benchmarks/accuracy/cards.py .data

build: $(VENV)/.dev ## wheel and sdist in dist/
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV) demo build dist site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.browser: | $(VENV)/bin/python # the pages are tested in Chromium; their tests skip where it cannot be installed
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -qq -y chromium >/dev/null) || \
		(sudo -n apt-get update -qq && sudo -n apt-get install -qq -y chromium >/dev/null) || \
		echo "No Chromium: the tests of web pages are skipped"
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) $(TORCH)
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.core
