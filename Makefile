# Everything runs in .venv with the packages and the CDK CLI that the repository pins. Each target sets that up itself.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Jobs, functions and tests are hundreds of processes: without bytecode each would compile the project again.
export PYTHONDONTWRITEBYTECODE :=
STAGE ?= sandbox
WORKERS ?= $(shell $(PYTHON) -c "import os; print(1 + min(os.cpu_count(), 4))")

.PHONY: help setup demo test check synth preflight deploy destroy bench devices constraints lock wheels wheelhouse clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed ## install the pinned packages and the CDK CLI

$(VENV)/.installed: requirements.txt requirements-dev.txt requirements-oracle.txt jobs/requirements.txt edge/requirements.in constraints.txt package.json package-lock.json
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, this is {v.major}.{v.minor}: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --requirement requirements-dev.txt --constraint constraints.txt
	python -m pip install --quiet --no-deps --requirement requirements-oracle.txt
	npm ci --include=dev --no-audit --no-fund --loglevel=error
	@touch $@

# The loop, end to end, on an AWS account that lives on this laptop.
# make demo IMAGES=folder takes photographs of yours; make demo KEEP=1 leaves the account open; make demo LABELER=me
# has you label in the browser.
demo: export DEMO_IMAGES := $(IMAGES)
demo: export DEMO_LABELER := $(LABELER)
demo: setup ## the whole loop on this laptop, no AWS account needed
	@python -m console demo $(if $(IMAGES),--images "$$DEMO_IMAGES") $(if $(LABELER),--labeler "$$DEMO_LABELER") $(if $(KEEP),--keep)

# One process more than cores, since tests wait for jobs and devices.
test: setup ## unit, handler, stack, workflow, edge and offline-account tests; build/coverage.txt: what none runs through
	@python -m pytest --randomly-seed=1 -n $(WORKERS) --dist loadscope --no-loadscope-reorder --cov --cov-report= $(ARGS)
	@mkdir -p build && coverage report > build/coverage.txt && grep ^TOTAL build/coverage.txt

check: setup ## formatting, lint, types; synth, cdk-nag and cfn-lint of every stage
	ruff format --check .
	ruff check .
	mypy
	@for stage in laptop sandbox production; do \
	  echo "synth, cdk-nag and cfn-lint: $$stage" && \
	  cdk synth --quiet --no-version-reporting --no-notices --context stage=$$stage --output build/synth/$$stage >/dev/null && \
	  cfn-lint --ignore-checks W3005 -- build/synth/$$stage/*.template.json || exit 1; \
	done

synth: setup ## the templates of STAGE, in cdk.out
	cdk synth --quiet --no-version-reporting --context stage=$(STAGE)

preflight: setup ## what stands between your AWS account and a deployment; changes nothing
	@python -m console preflight --stage $(STAGE)

deploy: setup ## deploy STAGE to the AWS account of your credentials
	cdk deploy --all --context stage=$(STAGE)

destroy: setup ## remove what the loop made, then the stacks
	python -m console destroy --stage $(STAGE)
	cdk destroy --all --context stage=$(STAGE)

bench: setup ## the figures of docs/, measured side by side
	@for bench in benchmarks/*.py; do python "$$bench" || exit 1; done

devices: setup ## docs/devices.md, from the table of targets
	@mkdir -p build && python -m console devices > build/devices.md && mv build/devices.md docs/devices.md

constraints: setup ## renew constraints.txt from what is installed
	@(head -2 constraints.txt && python -m pip freeze --exclude torch) > build/constraints.txt && mv build/constraints.txt constraints.txt

lock: setup ## renew the hashes of the device's wheels
	python edge/wheels.py lock

wheels: setup ## does every Python and processor of a device find its wheels? Asks the package index
	python edge/wheels.py check

# make wheelhouse DEVICES="--python 3.11 --architecture aarch64" takes only what those need: all are some 500 MB.
wheelhouse: setup ## carry the device's wheels in the component, for devices without the internet
	python edge/wheels.py download $(DEVICES)

clean: ## remove what the targets made
	rm -rf $(VENV) node_modules build cdk.out .mypy_cache .ruff_cache .pytest_cache .coverage
