# make search    set everything up and run the first search
# make test      set everything up and run the tests
# make test-all  the same with the slow ones
# make check     style and types

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup search test test-all check bench clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

search: setup
	$(BIN)/gantune search search_spaces/dcgan.yaml

test: setup
	$(BIN)/python -m pytest -q -n auto

test-all: setup
	$(BIN)/python -m pytest -q -n auto -m 'slow or not slow'

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/trainer_speed.py
	$(BIN)/python benchmarks/search_overhead.py
	$(BIN)/python -m benchmarks.gaussians
	$(BIN)/python -m benchmarks.recipes

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
