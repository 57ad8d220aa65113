VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint bench image-steps clean

demo: $(VENV)/.base
	@$(BIN)/jina-v3 demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

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
	@$(PIP) --target $(VENV)/pymilvus2 --upgrade --no-deps 'pymilvus<3' llama-index-vector-stores-milvus
	@touch $@

clean:
	rm -rf $(VENV) build dist
