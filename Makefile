# Each command does its own set-up: `make train`, `make test`, `make test-all` with the tests that take long too,
# `make test-install` for the wheel, and `make bench` or `make bench-all` for the tables of speed.

PYTHON ?= python3
VENV := .venv
PEER := $(VENV)/peer
PY := $(VENV)/bin/python
RUN ?= mine
EXTRA ?=  # more requirements files, as in EXTRA=requirements-backends.txt
BARE ?=  # packages to be installed without what they ask for, as in BARE=imagecorruptions-imaug==1.1.5

.PHONY: train test test-all hostile fuzz wheel test-install docs bench bench-all peer

train: $(VENV)/train
	$(PY) tf_model.py train --run $(RUN) --resume
	$(PY) tf_model.py evaluate --run $(RUN)
	$(PY) tf_model.py predict --run $(RUN) samples/sketch_happy.png

test: TESTS = -m "not long"
test test-all: $(VENV)/test
	$(if $(strip $(EXTRA)),$(PY) -m pip install --quiet $(addprefix -r ,$(EXTRA)))
	$(if $(strip $(BARE)),$(PY) -m pip install --quiet --no-deps $(BARE))
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	OMP_WAIT_POLICY=passive $(PY) -m pytest -n logical --maxprocesses 4 --dist loadfile --max-worker-restart 0 -p no:benchmark $(TESTS)

# inputs that are made to break it: a table by kind
hostile: $(VENV)/test
	$(PY) tests/hostile/run.py

# a minute for each reader
fuzz: $(VENV)/test
	$(PY) tests/hostile/fuzz.py

wheel: $(VENV)/test
	$(PY) -m hatchling build --target wheel

# the wheel, installed from the package index into empty environments outside of this folder
test-install: $(VENV)/test
	$(PY) -m pytest -p no:benchmark tests/install/check_install.py

docs: $(VENV)/test
	$(PY) -m mkdocs build --strict --quiet

# The main table, starts, photographs and short folders and videos, on all cores: a quarter of an hour, on cores that
# nothing else uses. ARGS=--quick shows in a few minutes that it runs, and stores nothing.
bench: peer
	FER_PYTHON=$(PEER)/bin/python $(PY) -m pytest tests/benchmarks/bench_answers.py tests/benchmarks/bench_photographs.py \
		-o python_files='bench_*.py' -m 'not long' $(ARGS)

# the libraries that are compared
peer: $(VENV)/test
	$(PY) -m pip install --quiet -r requirements-export.txt -r requirements-backends.txt -r requirements-scale.txt
	test -x $(PEER)/bin/python || $(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet -r tests/benchmarks/requirements-peer.txt
	$(PEER)/bin/python -m pip install --quiet --no-deps fer==25.10.3 facex==1.1.0

bench-all: peer
	FER_PYTHON=$(PEER)/bin/python $(PY) -m pytest tests/benchmarks -o python_files='bench_*.py' --cores 1
	FER_PYTHON=$(PEER)/bin/python $(PY) -m pytest tests/benchmarks -o python_files='bench_*.py'
	$(PY) tests/benchmarks/inference_speed.py
	$(PY) tests/benchmarks/training_speed.py
	$(PY) tf_model.py compare

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed, not $$($(PYTHON) -V 2>&1); name one: make PYTHON=python3.12 ..." >&2; \
		exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(VENV)/train: requirements.txt pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/test: requirements-test.txt requirements-docs.txt $(VENV)/train
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@
