# make demo    a cluster on this disk, used over HTTP, from nothing but git, Python and make
# make test    all tests, with the real git-annex from PyPI as the peer
# make check   types, style, and the tests that take no time
# make bench   shoal beside the real git-annex
# make docs    the page that compares the two programs
# Each works in .venv, made on first use from pyproject.toml and constraints.txt.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
JOBS ?= auto
TESTS ?= tests

.PHONY: demo clean-demo test check bench docs clean

demo: $(VENV)/.runs
	$(BIN)/python demo/demo.py

clean-demo:
	@if [ -x $(BIN)/python ]; then $(BIN)/python demo/demo.py --clean; fi

test: $(VENV)/.develops
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -q -n $(JOBS) --dist worksteal $(TESTS)

check: $(VENV)/.develops
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -q tests/unit

bench: $(VENV)/.develops
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks.gateway

docs: $(VENV)/.develops
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/make_compatibility.py

clean: clean-demo
	rm -rf $(VENV)

# Enough to run shoal.
$(VENV)/.runs: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "shoal needs Python 3.11 or newer" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e .
	@touch $@

# Everything in pyproject.toml's dependency groups as well.
$(VENV)/.develops: $(VENV)/.runs
	$(BIN)/python -m pip install -q $$($(BIN)/python -c 'import tomllib; \
	groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; \
	print(*(name for group in groups.values() for name in group))')
	@touch $@
