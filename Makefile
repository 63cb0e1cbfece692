# The commands of this project. `make` alone lists them; `make up` and `make test` work at once in a fresh clone.
# Settings are given as usual (UI_PORT=4300 make up) or after the command (make test DATABASE_URL=postgresql://...).

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
DOCS_VENV := .venv-docs
DOCS_STAMP := $(DOCS_VENV)/.installed
LOCK = $(or $(UV),uv) pip compile --quiet --universal --generate-hashes --upgrade \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# A file's tests run in one process, which shares a server among them; files start in the order of tests/conftest.py. One
# process more than there are processors: tests wait for other processes.
PARALLEL = -n $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)') --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install up demo doctor service soak chaos test test-all lint docs bench lock audit clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## make .venv, with exactly the packages of requirements.lock (another Python: PYTHON=python3.12)
	@:

up: $(STAMP) ## start everything and import the first workbook; Ctrl-C stops it
	@exec $(PY) -m deployments.up

doctor: $(STAMP) ## check everything that the jobs need; fails if a check fails, not for a warning
	@$(PY) -m deployments.doctor || [ $$? = 1 ]

demo: $(STAMP) ## beside make up: an invented ministry is monitored on four days, within a minute
	@$(PY) -m deployments.demo

service: $(STAMP) ## run make up as a systemd user service, and doctor every five minutes (TO=dir: only write the units)
	@$(PY) -m deployments.service $(if $(TO),--to "$(TO)")

soak: $(STAMP) ## make up with a job a minute while something is killed every 30 seconds (MINUTES=60)
	@$(PY) tests/bench/soak.py $(or $(MINUTES),60)

chaos: $(STAMP) ## kill jobs at random moments, and try the steps of owners in random orders (KILLS=500 ORDERS=10000)
	@$(PY) -m pytest $(PARALLEL) tests/integration -k "killed_at_a_random_moment or in_many_orders_of_steps" \
		--kills $(or $(KILLS),500) --orders $(or $(ORDERS),10000)

test: $(STAMP) ## all tests but the slow ones (a part: TESTS=tests/unit; DATABASE_URL=... for a server of your own)
	@$(PY) -m pytest $(PARALLEL) -m "$(or $(MARKED),not slow)" $(TESTS)

test-all: $(STAMP) ## all tests
	@$(PY) -m pytest $(PARALLEL) --hypothesis-profile=all

lint: $(STAMP) ## style, format, types, and which module imports which
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo --no-cache

docs: $(STAMP) $(DOCS_STAMP) ## write the generated pages of docs/ and build all of them into site/
	@$(PY) -m deployments.reference
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --quiet

bench: $(BENCH_STAMP) ## how fast an import and a monitoring run are, beside their peers (a part: ARGS="--help" says which)
	@$(BENCH_VENV)/bin/python tests/bench/bench.py $(ARGS)
	@$(if $(ARGS),,$(BENCH_VENV)/bin/python tests/bench/monitor.py)

lock: ## choose the versions again and write all locks (needs uv on PATH, or UV=...)
	@$(LOCK) --extra dev --extra s3 --extra javascript --no-emit-package embassy-jobs pyproject.toml --output-file requirements.lock
	@$(LOCK) --group pyproject.toml:bench --constraints requirements.lock --output-file requirements-bench.lock
	@$(LOCK) --extra s3 --group pyproject.toml:image --constraints requirements.lock --no-emit-package embassy-jobs \
		pyproject.toml --output-file requirements-image.lock
	@$(LOCK) --group pyproject.toml:docs --constraints requirements.lock --output-file requirements-docs.lock

audit: ## look for known vulnerabilities of the locked packages (needs pip-audit on PATH, or AUDIT=..., and the network)
	@$(or $(AUDIT),pip-audit) --requirement requirements.lock --require-hashes --disable-pip

clean: ## remove the environments, site/ and caches; what `make up` keeps in var/ stays
	@rm -rf .venv .venv-* site build *.egg-info .mypy_cache .ruff_cache .hypothesis

$(STAMP): requirements.lock pyproject.toml
	$(call environment,$(VENV),requirements.lock)

# The peers of the bench come on top of the very versions of the product, in an environment of their own.
$(BENCH_STAMP): requirements.lock requirements-bench.lock pyproject.toml
	$(call environment,$(BENCH_VENV),requirements.lock requirements-bench.lock)

# MkDocs needs nothing of the project.
$(DOCS_STAMP): requirements-docs.lock
	$(call packages,$(DOCS_VENV),requirements-docs.lock)
	@touch $@

# $(1) with exactly the packages of the locks $(2); again only when a lock or pyproject.toml changed. The project itself is
# installed so that a worker finds it from any directory.
define environment
	$(call packages,$(1),$(2))
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(1)/bin/python -m compileall -q db deployments flows tasks # for where PYTHONDONTWRITEBYTECODE is set
	@touch $@
endef

# --no-deps: a lock is complete, and pip would refuse the extra of sqlalchemy[asyncio] in hash mode.
define packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "This needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 | tail -n 1)."; \
		echo "Name another one, for example: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12"; exit 1; }
	@echo "install  making $(1) with the packages of $(2) (about a minute)"
	@$(PYTHON) -m venv $(1) || { echo "Could not make $(1): on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes $(addprefix -r ,$(2))
endef
