# Everything runs in .venv, which is made and filled as needed. `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py build_ffi.py csrc/codec.c csrc/codec.h
C_FILES := $(wildcard csrc/*.[ch] tests/c/*.[ch] fuzz/*.c)

.DEFAULT_GOAL := help
.PHONY: help demo test docs lint types browser peers conformance compat-suite c-test fuzz sanitize mutants test-all \
	format dist wheel-test hooks bench clean

SECONDS ?= 60

# setuptools warns of what every editable installation is: the folder that is worked in takes precedence.
INSTALL_EDITABLE := PYTHONWARNINGS="ignore:Editable installation" $(BIN)/python -m pip install --quiet --editable

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(INSTALL_EDITABLE) .
	@touch $@

$(VENV)/installed-test: $(BIN)/python $(SOURCES)
	$(INSTALL_EDITABLE) '.[test]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed  ## start the demo server; open the address that it prints
	$(BIN)/python -m wsproto_lite serve

test: lint types $(VENV)/installed-test  ## lint, check types, run all tests with coverage
	$(BIN)/python -m pytest --cov --cov-report=term

docs: $(BIN)/python $(SOURCES)  ## build the documentation into build/docs, and run its doctests
	$(INSTALL_EDITABLE) '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b doctest docs build/doctest

$(VENV)/installed-%: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --group $*
	@touch $@

lint: $(VENV)/installed-lint  ## check the style of Python and C, and the spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/codespell

format: $(VENV)/installed-lint  ## bring Python and C into that style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

types: $(VENV)/installed-test  ## check types
	$(BIN)/mypy

browser: $(VENV)/installed-test  ## drive the demo page and the servers with headless Chromium
	WSPROTO_LITE_NO_SKIP=1 $(BIN)/python -m pytest tests/test_browser*.py

peers: $(VENV)/installed-test  ## talk to others' clients and servers (needs Node, npm, g++, Boost, Redis)
	$(INSTALL_EDITABLE) '.[peers]'
	mkdir -p build/peers
	cp tests/peers/package.json build/peers
	npm install --silent --no-audit --no-fund --no-package-lock --prefix build/peers
	$(CXX) -std=c++17 -O1 -Wall -Wextra -pthread -o build/peers/boost_beast tests/peers/boost_beast.cpp
	WSPROTO_LITE_NO_SKIP=1 $(BIN)/python -m pytest tests/test_peers.py tests/test_examples_asgi.py tests/test_uvicorn_process.py

conformance: $(VENV)/installed-test  ## run the Autobahn Testsuite (10 minutes; SAMPLE=1 for one)
	$(BIN)/python scripts/conformance.py $(if $(SAMPLE),--sample)

compat-suite: $(VENV)/installed-test  ## run wsproto's own tests against wsproto_lite.compat
	$(BIN)/python scripts/wsproto_suite.py

c-test:  ## test the C file with sanitizers, valgrind and on a big-endian machine
	$(PYTHON) scripts/test_c.py

fuzz: $(VENV)/installed-test  ## fuzz each target for SECONDS=60
	$(BIN)/python fuzz/run.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

sanitize:  ## run all tests with the C file under ASan and UBSan (ARGS=@tests/quick.args for a part)
	$(PYTHON) scripts/sanitize.py $(ARGS)

mutants:  ## change the sources in thousands of ways; see that the tests notice (half an hour)
	$(PYTHON) scripts/mutants.py $(MODULES)

test-all:  ## run all tests on every interpreter that is here
	$(PYTHON) scripts/test_all.py

dist: $(VENV)/installed-dist  ## build the sdist and the wheel into dist/ and check them (TWICE=1: are they reproducible?)
	$(BIN)/python scripts/dist_build.py $(if $(TWICE),--twice)

wheel-test: dist  ## install what dist/ has on every interpreter that is here, and run quick tests
	$(BIN)/python scripts/dist_test.py

hooks: $(VENV)/installed-lint $(VENV)/installed-test $(VENV)/installed-hooks  ## have git check every commit
	$(BIN)/pre-commit install

bench: $(BIN)/python $(SOURCES)  ## measure against the others (BASE=file.json to compare)
	$(INSTALL_EDITABLE) '.[bench]'
	$(BIN)/python -m benchmarks core $(if $(BASE),--base $(BASE))

clean:  ## remove what make has made
	rm -rf $(VENV) .venv-autobahn build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f wsproto_lite/_codec.c wsproto_lite/_codec.*.so wsproto_lite/_codec.*.o
