# Everything runs in .venv, which is made and filled as needed. `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py build_ffi.py csrc/codec.c csrc/codec.h

.DEFAULT_GOAL := help
.PHONY: help demo test lint types browser conformance compat-suite c-test fuzz sanitize test-all bench clean

SECONDS ?= 60

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

conformance: $(VENV)/installed-test  ## run the Autobahn Testsuite (10 minutes; SAMPLE=1 for one)
	$(BIN)/python scripts/conformance.py $(if $(SAMPLE),--sample)

compat-suite: $(VENV)/installed-test  ## run wsproto's own tests against wsproto_lite.compat
	$(BIN)/python scripts/wsproto_suite.py

c-test:  ## test the C file with sanitizers, valgrind and on a big-endian machine
	$(PYTHON) scripts/test_c.py

fuzz: $(VENV)/installed-test  ## fuzz each target for SECONDS=60
	$(BIN)/python fuzz/run.py --seconds $(SECONDS)

sanitize:  ## run all tests with the C file under ASan and UBSan
	$(PYTHON) scripts/sanitize.py

test-all:  ## run all tests on every interpreter that is here
	$(PYTHON) scripts/test_all.py

bench: $(BIN)/python $(SOURCES)  ## measure against the others (BASE=file.json to compare)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks core $(if $(BASE),--base $(BASE))

clean:  ## remove what make has made
	rm -rf $(VENV) .venv-autobahn build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f wsproto_lite/_codec.c wsproto_lite/_codec.*.so wsproto_lite/_codec.*.o
