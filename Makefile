# Every target sets up what it needs: an environment in .venv with mlpack and its tools.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Processes start several times slower where they may not keep their bytecode.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint unit e2e coverage bench clean

# The main job on a real example, ending with a prediction over HTTP.
demo:
	$(PYTHON) scripts/demo.py

# All checks. What is optional and missing on this machine is named and left out, unless
# MLPACK_REQUIRE_ALL=1 demands every real part, as CI does.
test: lint unit e2e

$(READY): pyproject.toml requirements-dev.lock.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements-dev.lock.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $(READY)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/python -m pytest tests

e2e: $(READY)
	$(BIN)/python -m pytest e2e

# Which estimators and options export: every case, and docs/coverage.md made from the run.
coverage: $(READY)
	$(BIN)/python coverage/run.py

bench: $(READY)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
