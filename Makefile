# `make demo` and `make test` install what they need into .venv; nothing has to be done before.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
WORKERS ?= 2
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-full test-parity test-alone lint bench stubs docs hooks clean

# JAX is the lightest backend to install; any other by KERAS_BACKEND=torch or tensorflow.
demo: export KERAS_BACKEND := $(or $(KERAS_BACKEND),jax)
demo: $(VENV)/.demo-$(or $(KERAS_BACKEND),jax)
	$(BIN)/python -m applications.digits

# Once a backend, each in processes of its own. Tests of the whole zoo run on PyTorch alone, those that compare backends start the others.
test: $(VENV)/.dev lint
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope
	KERAS_BACKEND=torch $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

# What takes minutes a test: the accuracy of the demo on every backend, the deepest networks.
test-full: test test-alone test-parity
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m full --ignore-glob="*/test_parity*.py"
	KERAS_BACKEND=torch $(BIN)/python -m pytest -m full --ignore-glob="*/test_parity*.py"
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m full --ignore-glob="*/test_parity*.py"

# Beside timm, torchvision, KerasHub and segmentation_models.pytorch, which are installed for it; without them these tests are skipped.
PARITY := -m "full or not full" -rs -n $(WORKERS) tests/weights/test_parity*.py tests/weights/test_catalogue.py
test-parity: $(VENV)/.peers
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(PARITY)
	KERAS_BACKEND=torch $(BIN)/python -m pytest $(PARITY)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest $(PARITY)

# Each backend as the only one, in an environment of its own beside .venv, with the package installed as users have it.
test-alone: test-alone-jax test-alone-torch test-alone-tensorflow

test-alone-%: $(VENV)-alone-%/.made
	$(VENV)-alone-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	KERAS_BACKEND=$* $(VENV)-alone-$*/bin/python tests/alone.py

.PRECIOUS: $(VENV)-alone-%/.made
$(VENV)-alone-%/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $*==$$(sed -n 's/^$*==//p' constraints.txt)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ".[$*]"
	@touch $@

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Beside keras.applications and, on PyTorch, torchvision. Takes 12 minutes.
bench: $(VENV)/.peers
	$(BIN)/python -m benchmarks

stubs: $(VENV)/.dev
	KERAS_BACKEND=jax $(BIN)/python -m tests.stubs --write

# The tables of networks and of published weights. The first on PyTorch, where a network can be built without memory for its variables.
docs: $(VENV)/.dev
	KERAS_BACKEND=torch $(BIN)/python -m tests.docs_table
	KERAS_BACKEND=jax $(BIN)/python -m tests.checkpoints_table

# Formatting, lint and types before each commit; works offline.
hooks: $(VENV)/.dev
	git config core.hooksPath .githooks

clean:
	rm -rf $(VENV) $(VENV)-alone-* build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache

$(VENV)/.demo-%: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) -e ".[demo,$*]"
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; name one by PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(PIP) -e ".[dev,jax,torch,tensorflow]"
	@touch $@

# Without what they ask for: torchvision wants the PyTorch of its own day, KerasHub a second TensorFlow package. What they cannot do without
# comes behind.
$(VENV)/.peers: $(VENV)/.dev
	$(PIP) --no-deps torchvision timm segmentation-models-pytorch keras-hub
	$(PIP) pyyaml regex tokenizers
	@touch $@
