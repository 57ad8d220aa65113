VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-fast test-servers test-all servers lint bench image-steps clean

demo: $(VENV)/.base
	@$(BIN)/jina-v3 demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

# What checks every rule on small models and embedded stores; tests/support/slow.py lists what is left out.
test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m "not slow and not servers"

# The tests that need a real database server: Milvus 2.3.5, of which the PyPI package `milvus` carries the program.
test-servers: servers
	$(BIN)/python -m pytest -n 2 -m servers

servers: $(VENV)/.servers

test-all: test test-servers image-steps

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/jina-v3 bench encode --against sentence-transformers --runs 5

image-steps: $(VENV)/.dev
	JINA_V3_IMAGE_STEPS=1 $(BIN)/python -m pytest tests/docker/test_steps.py

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) …"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), with what the tests need …"
	@$(PIP) -e '.[dev]'
	@$(PIP) --target $(VENV)/fastembed --upgrade --no-deps fastembed py_rust_stemmers loguru
	@$(PIP) --target $(VENV)/pymilvus2 --upgrade --no-deps 'pymilvus<3' llama-index-vector-stores-milvus
	@touch $@

# Apart, since its Python module is no client: only the program in it is used.
$(VENV)/.servers: tests/servers/milvus_standalone.py $(VENV)/.dev
	@echo "Installing a Milvus server into $(VENV)/milvus-server …"
	@$(PIP) --target $(VENV)/milvus-server --upgrade --no-deps milvus==2.3.5
	@$(BIN)/python -m tests.servers.milvus_standalone
	@touch $@

clean:
	rm -rf $(VENV) build dist
