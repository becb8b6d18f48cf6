# The commands of the house. `make demo` and `make test` set up all that they need.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test check install all requirements bench lint docs man twins pins clean

BIN := .venv/bin
WORKERS ?= 2
ARGS ?=

help:             ## this list
	@if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then bold=$$'\e[1;36m' plain=$$'\e[0m'; fi; \
	awk -v bold="$$bold" -v plain="$$plain" -F ':[^#]*## ' \
	    '/^[a-z]+:[^#]*## / { printf "  %smake %-13s%s %s\n", bold, $$1, plain, $$2 }' Makefile

demo: install     ## a session around a real program: detach, kill the coordinator, come back, nothing missed
	@if [ -x examples/demo ]; then PATH="$$PWD/$(BIN):$$PATH" examples/demo $(ARGS); \
	else echo "hawse: examples/demo is not there yet" >&2; exit 1; fi

test:             ## all checks and all tests, with everything that they need (ARGS="tests/wire -k frame")
	@tools/install test
	@tools/test-setup
	@$(MAKE) check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

install:          ## .venv/bin/hawse, from pinned packages; no root needed
	@tools/install

all: install

lint:             ## style, floors and types
	@tools/install test
	@$(MAKE) check

check:
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/mypy
	@for tool in $(wildcard tools/twins.py tools/reference.py); do \
	    echo "$(BIN)/python $$tool --check"; $(BIN)/python $$tool --check || exit 1; done

requirements:     ## each numbered requirement with its tests, and those that have none (ARGS=--json, --markdown)
	@tools/install
	@$(BIN)/python tools/requirements.py $(ARGS)

bench: install    ## every figure that the documentation quotes, measured here
	@if [ -x benchmarks/run ]; then PATH="$$PWD/$(BIN):$$PATH" benchmarks/run $(ARGS); \
	else echo "hawse: benchmarks/run is not there yet" >&2; exit 1; fi

docs: install     ## the reference pages, from the code (ARGS=--check: only say whether they are up to date)
	@if [ -e tools/reference.py ]; then $(BIN)/python tools/reference.py $(ARGS); \
	else echo "hawse: tools/reference.py is not there yet" >&2; exit 1; fi

man: install      ## man pages in build/man, from the commands' own help (ARGS=another folder)
	@$(BIN)/python tools/manpages.py $(ARGS)

twins:            ## the synchronous client, from the asyncio one
	@tools/install
	@$(BIN)/python tools/twins.py $(ARGS)

pins:             ## requirements*.txt anew, with the newest versions (ARGS="click rich": only these)
	@tools/pins $(ARGS)

clean:            ## remove all that was made here
	rm -rf .venv .venv.lock build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find $(wildcard src tests tools benchmarks examples) \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +
	find src -name '*.so' -delete
