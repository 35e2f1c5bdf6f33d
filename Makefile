PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# More processes than processors: many tests wait for other processes.
PROCESSES = $(shell $(PYTHON) -c "import os; print(5 * (os.cpu_count() or 2) // 2)")

.PHONY: demo test test-debian test-all coverage torture bench reach audit lint types samples sql pictures debian-packages lock clean

demo: $(READY)
	$(BIN)/batch-updater demo

test: $(READY) lint types
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m "not debian"

test-debian: $(READY) debian-packages
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m debian

test-all: test test-debian

# Which branches the tests take, those in processes of their own included; the floor is in pyproject.toml.
coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(PROCESSES) --dist worksteal -m "not debian"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The same promises with the large numbers; about a quarter of an hour.
torture: $(READY) debian-packages
	$(BIN)/python -m pytest -q -s -n 0 --torture --timeout 3000 tests/torture tests/team/test_quota.py

# Known vulnerabilities of what users install; needs the network, and so is no test.
audit: $(READY)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --require-hashes --disable-pip --requirement requirements.lock

# Speed and memory beside references; about ten minutes for each round, on a machine that does nothing else.
bench: $(READY)
	$(BIN)/python -m benchmarks

# How much of published OpenAPI documents can be used: make reach DOCS=folder.
reach: $(READY)
	@$(BIN)/python -m benchmarks.reach $(DOCS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy samples/*.py docs/*.py

samples: $(READY)
	$(BIN)/python samples/make_samples.py samples
	$(BIN)/python samples/make_pipeline.py samples
	$(BIN)/python samples/make_results.py

# The statements as SQLite takes them; after each change of runs/tables.py or runs/upload_tables.py.
sql: $(READY)
	$(BIN)/python -m batch_updater.runs.tables sqlite > batch_updater/runs/sqlite.sql.new
	mv batch_updater/runs/sqlite.sql.new batch_updater/runs/sqlite.sql
	$(BIN)/python -m batch_updater.runs.tables postgres > batch_updater/runs/postgres.sql.new
	mv batch_updater/runs/postgres.sql.new batch_updater/runs/postgres.sql
	$(BIN)/python -m batch_updater.runs.upload_tables > batch_updater/runs/uploads.sql.new
	mv batch_updater/runs/uploads.sql.new batch_updater/runs/uploads.sql
	$(BIN)/python -m batch_updater.runs.team_upload_tables > batch_updater/runs/team_uploads.sql.new
	mv batch_updater/runs/team_uploads.sql.new batch_updater/runs/team_uploads.sql

pictures: $(READY) debian-packages
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python -m docs.make_web_pictures

# What the tests marked `debian` need. Installed where we may, that is, as root on Debian; named where we may not.
# PostgreSQL is installed without a server that runs: the tests start their own, on private ports.
debian-packages:
	@if command -v soffice >/dev/null && command -v pdftoppm >/dev/null && command -v gcc >/dev/null \
		&& command -v systemd-analyze >/dev/null && command -v chromium >/dev/null && command -v zsh >/dev/null && command -v nginx >/dev/null \
		&& ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		mkdir -p /etc/postgresql-common && { [ -e /etc/postgresql-common/createcluster.conf ] \
			|| echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; } && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			libreoffice-calc poppler-utils gcc libc6-dev systemd chromium zsh nginx postgresql >/dev/null; \
	else echo "Install these packages first: libreoffice-calc poppler-utils gcc libc6-dev systemd chromium zsh nginx postgresql"; exit 1; fi

# One stamp for the whole environment: it is made again when a lock file or the project's own metadata change.
$(READY): requirements.lock requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.lock -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

# Names, versions and hashes for every platform and Python; run it on purpose, never as part of a build.
# What is locked stays, unless it is asked for: make lock UPGRADE=--upgrade, or UPGRADE="--upgrade-package NAME".
COMPILE = $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock:
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) $(UPGRADE) --output-file requirements.lock pyproject.toml
	$(COMPILE) $(UPGRADE) --constraint requirements.lock --output-file requirements-dev.lock --group dev

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage-data build dist
