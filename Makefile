# Every target sets up what it needs: an environment in .venv with mlpack and its tools.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The long tests have an environment of their own.
LONG := $(VENV)/long
# So many tests at once.
WORKERS ?= 2
# Processes start several times slower where they may not keep their bytecode.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint unit e2e coverage coverage-full releases releases-part unseen mutants soak bench long clean

# The main job on a real example, ending with a prediction over HTTP.
demo:
	$(PYTHON) scripts/demo.py

# All checks. What is optional and missing on this machine is named and left out, unless
# MLPACK_REQUIRE_ALL=1 demands every real part, as CI does.
test: lint unit coverage releases-part e2e

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
	$(BIN)/python -m pytest tests -n $(WORKERS) --dist worksteal --durations 15

e2e: $(READY)
	$(BIN)/python -m pytest e2e -n $(WORKERS) --dist loadfile --durations 25

# Some of the cases of which estimators and options export, compared with what is written down.
coverage: $(READY)
	$(BIN)/python coverage/run.py --part --jobs 2

# Every case, and docs/coverage.md made from the run. About half an hour on two cores.
coverage-full: $(READY)
	$(BIN)/python coverage/run.py --jobs 2

# Every case asked ten times the gate's rows, none of which the gate saw, and docs/unseen.md.
unseen: $(READY)
	$(BIN)/python coverage/run.py --jobs 2 --times 10 --seed 1

# Every case and the exporter's tests with each of the last three releases of scikit-learn, in
# environments of their own. An hour and a half on two cores.
releases: $(READY)
	$(BIN)/python coverage/releases.py --jobs 2

# Some quick cases and tests with the two older ones.
releases-part: $(READY)
	$(BIN)/python coverage/releases.py --part --jobs 2

# Pipelines that end with a module of PyTorch, in an environment of its own with torch, of which
# PyPI has the build for CUDA, several gigabytes. Where PyTorch's own index is in reach the build
# for CPUs will do: make long TORCH="--torch-backend cpu"
long: $(LONG)/.ready
	$(LONG)/bin/python -m pytest long

$(LONG)/.ready: pyproject.toml requirements-dev.lock.txt long/requirements.txt
	test -x $(LONG)/bin/python || $(PYTHON) -m venv $(LONG)
	$(LONG)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LONG)/bin/uv pip install --quiet --python $(LONG)/bin/python --require-hashes --no-deps -r requirements-dev.lock.txt
	$(LONG)/bin/uv pip install --quiet --python $(LONG)/bin/python --no-deps --editable .
	$(LONG)/bin/uv pip install --quiet --python $(LONG)/bin/python $(TORCH) -r long/requirements.txt
	touch $(LONG)/.ready

# How many faulty graphs the proof catches, and docs/mutants.md made from the run.
mutants: $(READY)
	$(BIN)/python coverage/mutants.py --jobs 2

# A server under load for long: a million requests, idle connections, overload, restarts.
soak: $(READY)
	$(BIN)/python tests/soak.py

bench: $(READY)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/builds.py
	$(BIN)/python benchmarks/servers.py
	$(BIN)/uv pip install --quiet --target $(VENV)/peers --no-deps -r benchmarks/peers/treelite.txt
	$(BIN)/python benchmarks/pipelines.py --peers $(VENV)/peers

clean:
	rm -rf $(VENV) demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
