# Everything runs in .venv, which is made and filled as needed. `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py build_ffi.py csrc/codec.c csrc/codec.h

.DEFAULT_GOAL := help
.PHONY: help demo test lint types browser clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-test: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed  ## start the demo server; open the address that it prints
	$(BIN)/python -m wsproto_lite serve

test: lint types $(VENV)/installed-test  ## lint, check types, run all tests with coverage
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-test
	$(BIN)/mypy

browser: $(VENV)/installed-test  ## drive the demo page with headless Chromium
	WSPROTO_LITE_NO_SKIP=1 $(BIN)/python -m pytest tests/test_browser.py

clean:  ## remove what make has made
	rm -rf $(VENV) build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f wsproto_lite/_codec.c wsproto_lite/_codec.*.so wsproto_lite/_codec.*.o
