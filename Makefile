# Thin: what a target does is in toolchain/ (docs/toolchain.md) and tests/.

STACK ?= dev
PURGE ?=
export STACK PURGE

python := .venv/bin/python
pytest := $(python) -m pytest --quiet
pulumi_module := toolchain/pulumi

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help up preview check down drift test lint unit policy rules e2e lock env

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

up: env ## install what is missing, deploy the stack (STACK=dev), check it, print addresses
	@$(python) -m toolchain up

preview: env ## what `make up` would change, judged by the policy pack
	@$(python) -m toolchain preview

check: env ## read back from a running stack what its settings promise
	@$(python) -m toolchain check

down: env ## remove everything; data volumes too with PURGE=1
	@$(python) -m toolchain down

drift: env ## fail when something would change, or was changed by hand
	@$(python) -m toolchain drift

test: lint unit policy rules e2e ## all of the following, the fast ones first

lint: env ## formatting, types, shell and Go sources
	@$(python) -m toolchain lint

unit: env ## components and settings, without an engine
	@$(pytest) tests/unit

policy: env ## the policy pack
	@$(pytest) tests/policy

rules: env ## every alert rule, by Prometheus' own tools
	@$(python) -m tests.rules.run

e2e: env ## real deployments by the real Pulumi on the real engine
	@$(pytest) tests/e2e

lock: env ## write requirements.txt anew from pyproject.toml
	@$(python) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --group dev pyproject.toml -o requirements.txt

env:
	@toolchain/python-env.sh
