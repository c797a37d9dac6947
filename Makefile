# `make help` lists the targets. Nothing here needs more than python3 (3.11 or newer) and make.

PYTHON ?= python3
PORT ?= 8000
FAIL_UNDER ?= 90
PYTEST_ARGS ?= -n 2

BIN := .venv/bin
# A stamp's name carries the content of its lock file, so a new lock is installed and an old one is not again.
DEMO := .venv/installed/demo-$(shell cksum < requirements.lock | cut -d' ' -f1)
DOCS := .venv/installed/docs-$(shell cksum < requirements-docs.lock | cut -d' ' -f1)
DEV := .venv/installed/dev-$(shell cksum < requirements-dev.lock | cut -d' ' -f1)
BENCH := .venv/installed/bench-$(shell cksum < benchmarks/requirements.lock | cut -d' ' -f1)
RELEASE := .venv/installed/release-$(shell cksum < requirements-release.lock | cut -d' ' -f1)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# The locks are complete. Without --no-deps, pip (as bundled with Python 3.11 and 3.12) takes the newest release of
# whatever another package requires with an extra, and then misses its hash: pip issue 9644.
INSTALL_LOCK := $(PIP) install --no-deps --require-hashes -r

.DEFAULT_GOAL := help
.PHONY: help install-demo setup run test test-hosts test-examples test-kit test-alerts test-server test-containers test-matrix lint format docs docs-serve build release-check bench screenshots pictures messages lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with PYTHON=…"; exit 1; }
	@echo "Creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

$(DEMO): | .venv/bin/python
	@echo "Installing what the demo needs (requirements.lock)"
	@$(INSTALL_LOCK) requirements.lock && $(PIP) check
	@rm -rf .venv/installed && mkdir .venv/installed && touch $@

$(DOCS): | .venv/bin/python
	@echo "Installing what the documentation site needs (requirements-docs.lock)"
	@$(INSTALL_LOCK) requirements-docs.lock
	@mkdir -p .venv/installed && touch $@

$(DEV): | .venv/bin/python
	@echo "Installing what development needs (requirements-dev.lock)"
	@$(INSTALL_LOCK) requirements-dev.lock && $(PIP) check
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@rm -rf .venv/installed && mkdir .venv/installed && touch $@ $(DEMO) $(DOCS)

$(BENCH): $(DEV)
	@echo "Installing what the benchmark compares with (benchmarks/requirements.lock)"
	@$(INSTALL_LOCK) benchmarks/requirements.lock && $(PIP) check
	@touch $@

$(RELEASE): $(DEV)
	@echo "Installing what looks at a release (requirements-release.lock)"
	@$(INSTALL_LOCK) requirements-release.lock && $(PIP) check
	@touch $@

install-demo: $(DEMO) # what `make run` installs

setup: $(DEV) ## create .venv with everything for development

run: $(DEMO) ## install, migrate, make the demo account and serve on PORT (8000)
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo_account
	@echo "Serving on http://127.0.0.1:$(PORT)/ (emails are printed here and shown at /mails, unless EMAIL_PROVIDER is set)"
	@API_URL=$${API_URL:-http://127.0.0.1:$(PORT)} $(BIN)/python manage.py runserver --noreload 127.0.0.1:$(PORT)

test: export RAN_AGAINST = .venv/ran-against
test: $(DEV) ## test on PostgreSQL, Redis and SMTP, then the SQLite selection; branch coverage
	@rm -f $$RAN_AGAINST
	@echo "== PostgreSQL, Redis and SMTP"
	$(BIN)/python -m pytest $(PYTEST_ARGS) --cov --cov-report=
	@echo "== SQLite"
	DATABASE_URL=sqlite:///test.sqlite3 $(BIN)/python -m pytest $(PYTEST_ARGS) -m sqlite --cov --cov-report= --cov-append
	@echo "== Coverage of both runs"
	@$(BIN)/python -m coverage report --fail-under=$(FAIL_UNDER)
	@echo "== Ran against"
	@sort -u $$RAN_AGAINST

test-hosts: $(DEV) ## test the wheel on projects of many shapes, on each Django; a table at the end
	$(BIN)/python -m pytest -m hosts tests/hosts $(PYTEST_ARGS)

test-examples: $(DEV) ## start each example by its one command, with the wheel, and walk it
	@tests/kit/install chromium
	$(BIN)/python -m pytest -m examples -o faulthandler_timeout=0 tests/examples $(PYTEST_ARGS)

test-kit: $(DEV) ## test with a browser, nginx, TLS, promtool, MariaDB and PgBouncer, installing Debian's packages where it may
	@tests/kit/install
	$(BIN)/python -m pytest -m "kit and not alerts" tests/kit

test-alerts: $(DEV) ## fire each alert by its real cause: a whole site, Prometheus and Alertmanager, in six minutes
	@tests/kit/install
	$(BIN)/python -m pytest -m alerts tests/kit/test_alerts.py

test-server: $(DEV) ## install, release, roll back and restore on an empty Debian (debootstrap, systemd-nspawn, root)
	@tests/server/install
	$(BIN)/python -m pytest -m server -p no:randomly -o faulthandler_timeout=0 tests/server $(ARGS)

test-containers: $(DEV) ## build, release, restart, roll back and restore in containers of a Docker engine of its own (root)
	@tests/containers/install
	$(BIN)/python -m pytest -m containers -p no:randomly -o faulthandler_timeout=0 tests/containers $(ARGS)

test-matrix: ## test on each Python and Django of the stack that this machine has
	@$(PYTHON) -m tests.matrix

lint: $(DEV) ## check style, types, layers, templates, migrations, the documents' links and addresses
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet password_reset/templates templates $(wildcard examples/*/shop/templates)
	$(BIN)/python -m tests.migration_lint
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --offline --quiet --persona pedantic .github
	$(SPHINX) docs build/docs
	.ci/addresses

format: $(DEV) ## format the Python files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DOCS) ## build the documentation site into build/docs
	$(SPHINX) docs build/docs
	@echo "Built: build/docs/index.html"

docs-serve: docs ## build it and serve it on PORT (8000)
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/docs $(PORT)

# A warning is an error: a link or a heading that is not there, a page in no part of the navigation.
SPHINX := $(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --fresh-env --quiet

build: $(DEV) ## build the wheel and the source archive into dist/
	$(BIN)/python -m build --no-isolation

release-check: $(RELEASE) ## go through what must hold before a release, in some hours; ARGS="--only archives" for a part
	$(BIN)/python -m tests.release_check $(ARGS)

bench: $(BENCH) ## compare with other packages in about twenty minutes; ARGS="--quick" in five
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: $(DEV) ## take pictures of every page with Chromium
	@tests/kit/install
	$(BIN)/python -m tests.kit.screenshots $(ARGS)

pictures: ## draw the pictures of docs/pictures
	@$(PYTHON) -m docs.extension.pictures

messages: $(DEV) ## compile the translations
	$(BIN)/python -m tests.messages

lock: ## renew the lock files (needs uv); they name no download address
	uv pip compile pyproject.toml --group dev -o requirements-dev.lock $(LOCK)
	uv pip compile pyproject.toml --group demo -o requirements.lock $(LOCK) --constraint requirements-dev.lock
	uv pip compile --group pyproject.toml:release -o requirements-release.lock $(filter-out --extra metrics,$(LOCK)) \
	  --constraint requirements-dev.lock
	uv pip compile pyproject.toml --group docs -o requirements-docs.lock $(LOCK) --constraint requirements-dev.lock
	uv pip compile tests/kit/checkov.in -o tests/kit/checkov.lock $(filter-out --extra metrics,$(LOCK))
	uv pip compile tests/hosts/requirements.in -o tests/hosts/requirements.lock $(filter-out --extra metrics,$(LOCK)) \
	  --constraint requirements-dev.lock
	{ grep -hv '^django-resetkit' examples/*/requirements.txt; echo honcho; } | sort -u | \
	  uv pip compile - pyproject.toml -o examples/constraints.txt \
	  $(filter-out --extra metrics --generate-hashes,$(LOCK)) --constraint requirements-dev.lock

LOCK := --universal --python-version 3.11 --extra metrics --generate-hashes --quiet \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS)

clean: ## remove what make made, but not the demo's database
	rm -rf .venv .venv-matrix .cache/hosts .cache/examples build dist htmlcov .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
