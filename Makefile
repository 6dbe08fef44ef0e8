# Every target sets up what it needs: an environment in .venv with mlpack and its tools.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# So many tests at once.
WORKERS ?= 2
# Processes start several times slower where they may not keep their bytecode.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint unit e2e coverage coverage-full unseen mutants bench clean

# The main job on a real example, ending with a prediction over HTTP.
demo:
	$(PYTHON) scripts/demo.py

# All checks. What is optional and missing on this machine is named and left out, unless
# MLPACK_REQUIRE_ALL=1 demands every real part, as CI does.
test: lint unit coverage e2e

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
	$(BIN)/python -m pytest tests -n $(WORKERS) --dist worksteal

e2e: $(READY)
	$(BIN)/python -m pytest e2e -n $(WORKERS) --dist loadgroup

# Some of the cases of which estimators and options export, compared with what is written down.
coverage: $(READY)
	$(BIN)/python coverage/run.py --part --jobs 2

# Every case, and docs/coverage.md made from the run. About half an hour on two cores.
coverage-full: $(READY)
	$(BIN)/python coverage/run.py --jobs 2

# Every case asked ten times the gate's rows, none of which the gate saw, and docs/unseen.md.
unseen: $(READY)
	$(BIN)/python coverage/run.py --jobs 2 --times 10 --seed 1

# How many faulty graphs the proof catches, and docs/mutants.md made from the run.
mutants: $(READY)
	$(BIN)/python coverage/mutants.py

bench: $(READY)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
