# Berth. `make` alone lists what there is.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help run test check check-django bench lock clean python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: python ## install what is missing and run Berth on http://localhost:8000 (BERTH_PORT=… for another)
	@exec $(PYTHON) -m deploy.setup run

test: python ## every check and every test, with real databases, engine and browser
	@$(PYTHON) -m deploy.setup test
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest --numprocesses logical $(ARGS)

check: python ## style, types, layers, templates, migrations, settings, API description
	@$(PYTHON) -m deploy.setup check
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	djlint templates --check --quiet
	djlint templates --lint --quiet
	@$(BIN)/python -m deploy.services -- $(MAKE) --no-print-directory check-django

check-django: export BERTH_PORTAL_URL = https://berth.example.org
check-django: export BERTH_WORKSPACE_URL = https://{id}.ws-example.net/
check-django: export BERTH_SECRET_KEY = a-key-of-fifty-characters-and-more-that-only-this-check-uses-0123456789
check-django:
	python manage.py makemigrations --check --dry-run
	python manage.py check --deploy --fail-level WARNING
	python manage.py spectacular --validate --fail-on-warn --file /dev/null

bench: python ## the benchmarks (ARGS=… chooses among them)
	@$(PYTHON) -m deploy.setup bench
	@$(BIN)/python -m benchmarks $(ARGS)

LOCK := .berth/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links
lock: python ## pin requirements.lock (pyproject.toml) and the Python libraries of images/ to today's newest
	@$(PYTHON) -m venv .berth/uv && .berth/uv/bin/pip install --quiet uv
	$(LOCK) --upgrade --no-header --generate-hashes --all-extras pyproject.toml --output-file requirements.lock
	$(LOCK) --upgrade --no-annotate --no-header --no-emit-package lark --no-emit-package rfc3987-syntax \
		images/jupyter-python/requirements.in --output-file images/jupyter-python/requirements.txt
	$(LOCK) --upgrade --no-annotate --no-header --constraint images/jupyter-python/requirements.txt \
		images/webapps/libraries.in --output-file images/webapps/libraries.txt

clean: python ## remove what `make` made here, data included; says what and asks
	@$(PYTHON) -m deploy.clean

python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Berth needs Python 3.11 or newer: name one, as in `make run PYTHON=python3.12`.")'
