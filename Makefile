VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-fast test-servers test-clients test-stack test-all servers clients stack lint bench image-steps clean

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

# Other projects' clients against our server, and a table of them. They are installed apart, since their needs differ.
test-clients: clients
	JINA_V3_CLIENTS=$(abspath $(VENV)/clients) $(BIN)/python -m pytest -m clients -rs tests/clients

clients: $(VENV)/.clients

# docker-compose.yml with real containers, by podman. Base and images are made here, in $(VENV)/stack.
test-stack: servers stack
	$(BIN)/python -m pytest -m stack -rs tests/stack

# Debian's packages, as root. Without podman the tests are skipped and say so.
STACK_PACKAGES := podman runc netavark aardvark-dns iptables catatonit mmdebstrap

stack:
	@if ! dpkg -s $(STACK_PACKAGES) >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing podman …"; { apt-get update -qq && apt-get install -y -qq --no-install-recommends $(STACK_PACKAGES); } \
	  >/dev/null 2>&1 || echo "It cannot be installed here"; fi

test-all: test test-servers test-clients image-steps test-stack

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

# Without a network nothing is installed, and the tests are skipped and say so.
$(VENV)/.clients: tests/clients/requirements.txt tests/clients/constraints.txt tests/clients/package.json $(VENV)/.dev
	@echo "Installing other projects' clients into $(VENV)/clients …"
	@$(PYTHON) -m venv $(VENV)/clients
	@mkdir -p $(VENV)/clients/npm && cp tests/clients/package.json tests/clients/package-lock.json $(VENV)/clients/npm/
	@if $(VENV)/clients/bin/pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt \
	  -c tests/clients/constraints.txt && cd $(VENV)/clients/npm && npm ci --silent --no-audit --no-fund --ignore-scripts; \
	then touch $(abspath $@); else rm -rf $(abspath $(VENV)/clients); echo "They cannot be installed here"; fi

clean:
	rm -rf $(VENV) build dist
