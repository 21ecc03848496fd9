# make demo    set up and run everything on this machine; FRAMES=dir for your own frames
# make test    set up and pass the tests
# make check   linter, formatter, type checker, architecture

PYTHON ?= python3
FRAMES ?=
ARGS ?=
WORKERS ?= 2
# Two files of tests run side by side; threads within one small product would only wait for each other.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
BIN := .venv/bin

.PHONY: demo test check install labelstudio clean

demo: install labelstudio
	$(BIN)/annotator demo $(ARGS) $(FRAMES)

test: install labelstudio
	$(BIN)/python -m pytest --numprocesses $(WORKERS) $(ARGS)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@echo "Setting up the Python environment in .venv (about 2 GB, some minutes the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

labelstudio: install
	$(BIN)/annotator labelstudio install

clean:
	rm -rf .venv .venv-labelstudio .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
