# make search            set everything up and run the first search
# make test              set everything up and run the unit tests
# make test-integration  real worker processes, servers, browsers, clusters, kills, whole trainings
# make test-docs         the commands, code and notebooks of the documentation
# make test-slow         these two at once
# make test-all          all three
# make coverage          all three again, with the lines and branches that they run
# make test-inception    the tests of the Inception network, in a separate environment (5 GB)
# make check             style, types, the order of imports, the wheel and the sdist
# make docker-check      the image for the CPU, where Docker is
# make bench-gpu         what a GPU does, and the tests that need one
# make docs              the reference of the space file and the architecture's picture

PYTHON ?= python3
BIN := .venv/bin
INCEPTION := .venv-inception
# Compiled modules are kept: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

PYTEST := $(BIN)/python -m pytest -q -n auto --dist worksteal

.PHONY: setup search test test-integration test-docs test-slow test-all coverage test-inception check docker-check docs bench bench-gpu clean

setup: .venv/.ready

# pip compiles on one core. Some packages bring templates that are no Python and cannot be compiled.
.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		-c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 .venv/lib gantune || true
	touch $@

search: setup
	$(BIN)/gantune search search_spaces/dcgan.yaml

test: setup
	$(PYTEST)

# These tests often wait for other processes, so there is one worker more than cores.
SLOW := PYTEST_XDIST_AUTO_NUM_WORKERS=$$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) \
	$(PYTEST) --dist loadgroup --hypothesis-profile full

test-integration: setup
	$(SLOW) -m 'integration or hypothesis'

test-docs: setup
	$(PYTEST) -m docs

# In one call: where tests of one kind wait, the other kind uses the cores.
test-slow: setup
	$(SLOW) -m 'integration or hypothesis or docs'

test-all: test test-slow

# Python 3.11 needs two to three times as long where lines are counted. Processes that tests start
# are counted too.
coverage: setup
	PYTEST_ADDOPTS='--cov --cov-report=' $(MAKE) test
	PYTEST_ADDOPTS='--cov --cov-report= --cov-append' $(MAKE) test-integration test-docs
	$(BIN)/coverage report

test-inception: $(INCEPTION)/.ready
	$(INCEPTION)/bin/python -m pytest -q -rs -m '' tests/scores/extractors/test_inception.py

# torch and torchvision fit each other only if they come from one place: here a release of both.
$(INCEPTION)/.ready: pyproject.toml
	$(PYTHON) -m venv $(INCEPTION)
	$(INCEPTION)/bin/python -m pip install --quiet --disable-pip-version-check \
		'torch==2.12.*' -e '.[dev,inception]'
	touch $@

check: setup
	rm -rf build/dist && mkdir -p build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m build --no-isolation --outdir build/dist . >build/build.log 2>&1 || (cat build/build.log; false)
	$(BIN)/twine check --strict build/dist/*

# Builds the image for the CPU and runs a tiny search in it, where Docker is.
docker-check:
	docker build --tag gantune:check .
	docker run --rm gantune:check search dcgan --kimg 0.5 --trials 1 --set finalists.top=0 \
		--set objective.samples=64 --set objective.rung_samples=32

docs: setup
	$(BIN)/python docs/make_reference.py
	dot -Tsvg docs/architecture.dot -o docs/images/architecture.svg  # Graphviz

bench: setup
	$(BIN)/python benchmarks/trainer_speed.py
	$(BIN)/python benchmarks/search_overhead.py
	$(BIN)/python -m benchmarks.gaussians
	$(BIN)/python -m benchmarks.recipes
	$(BIN)/python -m benchmarks.score_speed
	$(BIN)/python -m benchmarks.orderings

# On a machine with a GPU: tables in docs/performance.md in under ten minutes, then the GPU tests.
# These run even if a measurement failed, and the exit status is that of both.
bench-gpu: setup
	status=0; \
	$(BIN)/python -m benchmarks.gpu --minutes 8 || status=1; \
	$(BIN)/python -m pytest -q -rs -m gpu || status=1; \
	exit $$status

clean:
	rm -rf .venv $(INCEPTION) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
