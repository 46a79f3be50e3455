# tinywase from a clean clone: `make demo`, `make test`. Needs Python 3.11+, a C++17 compiler (else the numpy reference
# runs the model) and a package index. Everything lands in .venv and build/; `make clean` removes both.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-quick lint bench docs browser install install-dev clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# -qq keeps pip's errors and hides its chatter, warnings about package indexes included.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
, := ,
# An extra package index for torch, such as one with processor-only builds: make test TORCH_INDEX=URL
TORCH_INDEX ?=
CXX_FOUND := $(shell command -v c++ || command -v g++ || command -v clang++)
NATIVE := CMakeLists.txt $(shell find native/include native/src native/bindings -type f 2>/dev/null)

help:  ## This list
	@echo "make <target>:"
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.plots  ## Install the package and pull one voice out of a bundled recording of two
	@$(BIN)/tinywase demo -o out/demo --force

test: $(VENV)/.dev  ## Install what the tests need and run them all
	@$(BIN)/python -m pytest $(TESTS)

test-quick: $(VENV)/.dev  ## The tests without the slow ones (wheel in an empty environment, training, native build)
	@$(BIN)/python -m pytest -m "not slow" $(TESTS)

lint: $(VENV)/.dev  ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/mypy

bench: $(VENV)/.dev  ## Measure speed here beside PyTorch, ONNX Runtime, OpenVINO; PEERS=1 installs the latter two first
	@$(if $(PEERS),$(PIP) install -c constraints.txt --no-build-isolation -e '.[dev$(,)bench]',true)
	@$(BIN)/python bench/speed.py

docs: $(VENV)/.dev  ## Rewrite what is generated: docs/cli.md, format.md, model.md, demo.png, the README's table
	@$(BIN)/python docs/generate.py

browser:  ## Compile for browsers into build/browser, a page of files for any web server; needs Emscripten
	@command -v emcmake >/dev/null || { echo "Emscripten is needed: 'apt install emscripten', or emsdk."; exit 1; }
	@emcmake cmake -S . -B build/wasm >/dev/null && cmake --build build/wasm --target module
	@mkdir -p build/browser
	@cp examples/browser/* src/tinywase/server/page/sound.js build/wasm/tinywase.wasm src/tinywase/assets/models/{small,live}.twase build/browser
	@echo "build/browser: try it by 'python3 -m http.server --directory build/browser' at http://localhost:8000"

install: $(VENV)/.core  ## Only install, with the five core dependencies
	@echo "Installed: $(BIN)/tinywase"
install-dev: $(VENV)/.dev  ## Install with torch and everything the tests need
	@echo "Installed, with what tests and training need: $(BIN)/tinywase"

clean:  ## Remove the environment, builds and caches
	@rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or later is needed, got '$(PYTHON)'. Name one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { echo "No environment: Debian and Ubuntu need 'apt install python3-venv'."; exit 1; }

# The build's own requirements are installed first: then the build needs no isolated environment and is quick to repeat.
$(VENV)/.build: constraints.txt | $(VENV)/bin/python
	@echo "Installing build tools into $(VENV) ..."
	@$(PIP) install -c constraints.txt scikit-build-core nanobind cmake ninja
	@touch $@

$(VENV)/.core: pyproject.toml $(NATIVE) $(VENV)/.build
	@echo "Installing tinywase into $(VENV), native part compiled ..."
	@$(PIP) install -c constraints.txt --no-build-isolation -e .
	@$(BIN)/python -c 'import tinywase._native' 2>/dev/null || \
	  echo "No working C++17 compiler: tinywase runs on its numpy reference, slower."
	@touch $@

$(VENV)/.plots: $(VENV)/.core
	@$(PIP) install -c constraints.txt matplotlib
	@touch $@

# pesq is compiled by its own build, which wants its own requirements: it comes with the first, isolated install.
# With a compiler at hand, a native part that does not compile fails here, while a user's install goes on without it.
$(VENV)/.dev: pyproject.toml $(NATIVE) $(VENV)/.build
	@echo "Installing what the tests need (torch among it: a few minutes the first time) ..."
	@$(PIP) install -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch pesq
	@env $(if $(CXX_FOUND),TINYWASE_NATIVE=require) $(PIP) install -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $(VENV)/.core $(VENV)/.plots $@
