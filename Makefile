PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-all torture bench audit lint types samples pictures debian-packages lock clean

demo: $(READY)
	$(BIN)/batch-updater demo

test: $(READY) lint types
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not debian"

test-all: test debian-packages
	$(BIN)/python -m pytest -m debian

# The same promises with the large numbers; about a quarter of an hour.
torture: $(READY) debian-packages
	$(BIN)/python -m pytest -q -s -n 0 --torture --timeout 3000 tests/torture

# Known vulnerabilities of what is pinned; needs the network, and so is no test.
audit: $(READY)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --require-hashes --disable-pip --requirement requirements.lock

# Speed and memory beside references; about six minutes for each round, on a machine that does nothing else.
bench: $(READY)
	$(BIN)/python -m benchmarks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy samples/*.py docs/*.py

samples: $(READY)
	$(BIN)/python samples/make_samples.py samples
	$(BIN)/python samples/make_results.py

pictures: $(READY) debian-packages
	$(BIN)/python docs/make_pictures.py

# What the tests marked `debian` need. Installed where we may, that is, as root on Debian; named where we may not.
debian-packages:
	@if command -v soffice >/dev/null && command -v pdftoppm >/dev/null && command -v gcc >/dev/null \
		&& command -v systemd-analyze >/dev/null && command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			libreoffice-calc poppler-utils gcc libc6-dev systemd chromium >/dev/null; \
	else echo "Install these packages first: libreoffice-calc poppler-utils gcc libc6-dev systemd chromium"; exit 1; fi

# One stamp for the whole environment: it is made anew when the lock file or the project's own metadata change.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

# Names, versions and hashes only; run it on purpose, never as part of a build.
lock:
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-annotate --extra dev --build-deps-for editable \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis build dist
