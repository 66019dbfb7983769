# Thin: what a target does is in operate/, toolchain/ and tests/ (CONTRIBUTING.md).

STACK ?= dev
PURGE ?=
PROFILE ?= steady
FAULT ?=
JSON ?=
VERBOSE ?=
LISTEN ?=
TO ?=
FROM ?=
RECIPIENT ?=
IDENTITY ?=
REPLACE ?=
FILES ?=
REPORT ?=
FORMAT ?=
DESPITE_BUDGET ?=
export STACK PURGE JSON VERBOSE LISTEN $(foreach name,TO FROM RECIPIENT IDENTITY REPLACE REPORT FORMAT DESPITE_BUDGET,$(if $($(name)),$(name)))
# An update starts a dozen Pythons: they keep what they compiled, whatever the shell's environment says.
unexport PYTHONDONTWRITEBYTECODE

python := .venv/bin/python
pytest := $(python) -m pytest --quiet

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help up preview check unanswered board alert-test down drift backup restore upgrade slo rotate test lint unit policy rules dashboards e2e again bench drills shop shop-down shop-load lock env

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: env ## install what is missing, deploy the stack (STACK=dev), check it, print addresses; all words with VERBOSE=1
	@$(python) -m operate up

preview: env ## what `make up` would change, judged by the policy pack
	@$(python) -m operate preview

check: env ## read back from a running stack what its settings promise; for programs with JSON=1
	@$(python) -m operate check

unanswered: env ## rules, dashboards and golden_signals that can never have data on a running stack: FILES="rules/*.yml boards/*.json", or its own
	@$(python) -m operate unanswered $(FILES)

board: env ## a dashboard of grafana.com into boards/: ID=1860 REVISION=37
	@$(python) -m operate board $(ID) $(REVISION)

alert-test: env ## send a test alert to every receiver, and say what came back
	@$(python) -m operate alert-test

down: env ## remove everything; data volumes too with PURGE=1
	@$(python) -m operate down

drift: env ## fail when something would change, or was changed by hand
	@$(python) -m operate drift

backup: env ## all that cannot be made again, to TO=folder or s3://…, while it runs; RECIPIENT=age1… encrypts it
	@$(python) -m operate backup

restore: env ## deploy the stack with all that FROM=… has, and check it (IDENTITY=key file, REPLACE=1)
	@$(python) -m operate restore

upgrade: env ## backup, then the images of this checkout, then the check; what fails is rolled back (TO= for the backup)
	@$(python) -m operate upgrade

slo: env ## what is left of the error budgets, fails if one is spent; REPORT=2026-11 for a month (FORMAT=csv)
	@$(python) -m operate slo

rotate: env ## another credential for an edge, at its centre and on the edge: STACK=prod EDGE=web-2
	@$(python) -m operate rotate $(EDGE)

test: lint unit policy rules e2e ## all of the following, the fast ones first

lint: env ## formatting, types, imports between rooms, shell and Go sources
	@$(python) -m toolchain lint

unit: env ## components and settings, without an engine
	@$(pytest) --numprocesses 2 tests/unit

policy: env ## the policy pack
	@$(pytest) --numprocesses 2 tests/policy

rules: env ## every alert rule and the pipeline of logs, by the tools of their services
	@$(python) -m tests.rules.run
	@$(pytest) --numprocesses 2 --dist loadfile tests/rules || $(MAKE) --no-print-directory again SUITE=tests/rules

e2e: env ## real deployments by the real Pulumi on the real engine, several at a time
	@$(python) -m tests.support.machine
	@$(pytest) --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/e2e || $(MAKE) --no-print-directory again SUITE=tests/e2e

# A test that fails beside others but not alone is unsteady; its name is printed: fix it.
again:
	@echo "once more, alone:"
	@$(pytest) -rpf --maxfail 3 --last-failed --last-failed-no-failures none $(SUITE)

dashboards: env ## write dashboards/json anew from dashboards/*.py, and the pictures of the docs
	@$(python) -m dashboards
	@$(python) -m pictures

bench: env ## what the stack costs under load, measured on this machine; one part: ONLY=traces
	@$(python) -m bench $(ONLY)

drills: env ## faults and bad inputs on purpose, each a row of docs/drills.md; some of them: ONLY=kill-loki,disk-
	@$(python) -m drills $(ONLY)

shop: env ## the example application beside the stack, built here (LISTEN=127.0.0.1:8080)
	@$(python) -m operate shop

shop-down: env ## remove the shop and all that it has stored
	@$(python) -m operate shop-down

shop-load: env ## requests to the shop: PROFILE=steady, spike or incident, FAULT=products=latency:1500ms, LISTEN as above
	@$(python) -m examples.shop.load $(PROFILE) $(if $(FAULT),--fault $(FAULT)) $(if $(LISTEN),--url http://$(LISTEN))

lock: env ## write requirements.txt anew from pyproject.toml
	@$(python) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --group dev pyproject.toml -o requirements.txt
	@for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin; do for pins in requirements.txt toolchain/go.txt toolchain/nodejs.txt; do \
		$(python) -m uv pip install --quiet --dry-run --require-hashes --no-deps --only-binary :all: --python-version 3.11 \
			--python-platform $$platform --target .venv/none -r $$pins || exit 1; done; done

env:
	@toolchain/python-env.sh
