# Everything a developer or a stranger runs. Only Python 3.11 or later, pip, venv, make and git are expected.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export CERTJOBS_LOCAL_DIR ?= $(CURDIR)/.certjobs
# The tests and benchmarks have servers of their own.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= 2

# For `make image`: what builds it, its name, and more options of `build`, such as --build-arg BASE=...@sha256:...
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' certjobs/__init__.py)
ENGINE ?= $(firstword $(shell command -v docker podman buildah))
IMAGE ?= certjobs:$(VERSION)
OPTIONS ?=

.PHONY: help demo test replay bench check image format man lock clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-8s %s\n' "$$name" "$$what"; done

demo: $(STAMP) ## see a first night on a sample roster
	@$(BIN)/python -m certjobs demo

test: $(STAMP) ## run the tests
	@$(BIN)/python -m pytest -q -n auto --dist worksteal --cov --cov-report=term --cov-fail-under=95

replay: $(STAMP) ## run the long replays: a year on the website, and a public register where it is at hand
	@$(BIN)/python -m pytest -q -n auto -m replay

bench: $(STAMP) ## measure against yardsticks, in one table
	@$(BIN)/python -m benchmarks

check: $(STAMP) ## run every static check
	@.ci/check

image: ## build the container image, with docker, podman or buildah
	@[ -n "$(ENGINE)" ] || { echo "docker, podman or buildah is needed; name another with ENGINE=..." >&2; exit 1; }
	@$(ENGINE) build --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git describe --always --abbrev=40 --dirty) \
		--tag $(IMAGE) $(strip $(OPTIONS)) .

format: $(STAMP) ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only .

man: $(STAMP) ## write the man page anew
	@$(BIN)/python .ci/manpage.py

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --upgrade --quiet

lock: ## renew the lock files (needs uv)
	@$(COMPILE) pyproject.toml --all-extras --group dev -o requirements.lock
	@echo 'checkov>=3.3' | $(COMPILE) - -o .ci/checkov.lock
	@if grep -n '://' requirements.lock .ci/checkov.lock; then echo "a lock file must hold no URL" >&2; exit 1; fi

clean: ## remove what these commands made
	rm -rf .venv .certjobs .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed; name it with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11; name another with PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Setting up .venv, once; it takes about a minute ..."
	@[ -e $(STAMP) ] || rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q certjobs migrations
	@touch $(STAMP)
