# The commands of this project; `make` lists them.
VENV := .venv
PYTHON := $(VENV)/bin/python
PYTHONS := python3.13 python3.12 python3.11 python3.14 python3
PIP_INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps
WEB_SOURCES := $(wildcard web/*.json web/*.html web/*.ts web/src/* web/docs/*)
DEPENDENCIES := $(VENV)/.dependencies
RUNTIME := $(VENV)/.runtime
INSTALLED := $(VENV)/.installed
WEB_TRIED := $(VENV)/.web-tried
BENCH_PEERS := bench/peers/node_modules/.installed
PYTEST := $(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
SLOW := tests/engine tests/live tests/examples tests/web tests/bench tests/server/cli tests/test_dockerfile.py \
	tests/server/graphql/test_node_clients.py \
	tests/assistant/test_processes.py tests/resolvers/test_kill.py
ARGS :=
NAME :=

.DEFAULT_GOAL := help
.PHONY: help run test quick check format schema migration install runtime dependencies venv web pictures bench lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME) $(WEB_TRIED) ## serve the API and GraphiQL on an embedded database, or the one that DATABASE_URL names
	@$(PYTHON) -m server.cli serve $(ARGS)

test: $(INSTALLED) $(WEB_TRIED) ## run every test, on SQLite and on a real PostgreSQL; ARGS="-k word" picks some
	@$(PYTEST) $(ARGS)

quick: $(INSTALLED) ## run the tests but those of the engine, of processes and of browsers: under two minutes
	@$(PYTEST) $(SLOW:%=--ignore=%) $(ARGS)

check: $(INSTALLED) $(WEB_TRIED) ## lint, check types, compare schema.graphql, and run every test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	@$(PYTHON) -m server.cli schema | diff -u schema.graphql - \
		|| { echo "schema.graphql is not the schema of the code: run 'make schema' and commit it." >&2; exit 1; }
	$(PYTEST) $(ARGS)

format: $(INSTALLED) ## format the code and mend what the linter can
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

schema: $(INSTALLED) ## write schema.graphql anew
	$(PYTHON) -m server.cli schema > schema.graphql.new
	mv schema.graphql.new schema.graphql

migration: $(INSTALLED) ## write a migration from what the models say anew; NAME="Add tasks.colour"
	@$(PYTHON) -m server.cli migrate
	@$(PYTHON) -m alembic revision --autogenerate -m "$(NAME)" \
		--rev-id $$(printf %04d $$(($$(ls migrations/versions/0*.py | wc -l) + 1)))
	@$(PYTHON) -m ruff format --quiet migrations

install: $(INSTALLED) ## make .venv with the locked dependencies, those of the tests too, and the command tasktalk

runtime: $(RUNTIME)

dependencies: $(DEPENDENCIES)

# What is installed is exactly what the lock files' hashes name. A .venv whose Python is gone is made anew.
$(DEPENDENCIES): requirements.lock
	@$(PYTHON) -c 'import pip' 2>/dev/null || $(MAKE) --no-print-directory venv
	@echo "Installing the locked dependencies ..."
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@touch $@

# All that serving needs; tests and checks need more.
$(RUNTIME): $(DEPENDENCIES) pyproject.toml
	@$(PIP_INSTALL) --no-build-isolation -e .
	@touch $@

$(INSTALLED): $(RUNTIME) requirements-dev.lock
	@echo "Installing what the tests need ..."
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# A name on the path may be a shim that does not start, so each is tried.
venv:
	@for python in $(PYTHONS); do \
		if $$python -c 'import ensurepip, sqlite3, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version) ..."; \
			exec $$python -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "No Python 3.11 or newer that can make virtual environments was found." >&2; \
	echo "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv) and run make again." >&2; \
	exit 1

# Once for each state of the sources, built or not: a machine without network should not try at each start.
$(WEB_TRIED): $(WEB_SOURCES) | $(RUNTIME)
	@if ! command -v npm >/dev/null; then \
		echo "npm was not found: GraphiQL and /docs will load from a CDN."; \
	else \
		$(MAKE) --no-print-directory web || echo "The pages could not be built and will load from a CDN; 'make web' tries again."; \
		touch $@; \
	fi

web: ## build the pages, GraphiQL and /docs, into web/dist
	@echo "Building GraphiQL and /docs ..."
	@cd web && npm ci --silent --no-audit --no-fund --fetch-retries=1 && npm run --silent build -- --logLevel warn

pictures: $(INSTALLED) $(WEB_TRIED) ## take the pictures of the documentation anew
	TASKTALK_PICTURES=1 $(PYTHON) -m pytest tests/web tests/examples/test_chat_picture.py

# Only the servers of Node need npm's packages.
NODE_PEERS = $(if $(findstring --servers,$(ARGS)),$(findstring mercurius,$(ARGS))$(findstring postgraphile,$(ARGS)),all)
bench: $(INSTALLED) $(if $(NODE_PEERS),$(BENCH_PEERS)) ## measure the server beside others, see docs/benchmarks.md; ARGS=--help
	@$(PYTHON) -m bench.compare $(ARGS)

$(BENCH_PEERS): bench/peers/package-lock.json
	@command -v npm >/dev/null || { echo "npm was not found: install Node.js with it and run make again." >&2; exit 1; }
	@echo "Installing the servers of Node ..."
	@cd bench/peers && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

lock: $(INSTALLED) ## resolve the dependencies of pyproject.toml anew; ARGS=--upgrade takes the newest
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(call compile,requirements.lock,--group build)
	$(call compile,requirements-dev.lock,--group build --group dev)

compile = build/lock/bin/uv pip compile pyproject.toml $(2) --output-file $(1) --quiet --universal \
	--python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" $(ARGS)

clean: ## remove everything that was built; the data stays
	rm -rf $(VENV) build web/dist web/node_modules tests/node/node_modules bench/peers/node_modules *.egg-info
	rm -rf examples/chat/dist examples/chat/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
