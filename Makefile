# `make demo` and `make test` are all that a newcomer needs; the rest is for those who change the project.
PYTHON ?= python3
VENV   := .venv
# As the program itself does: threads of the linear algebra gain nothing here, and wait for each other where much is at work.
export OPENBLAS_NUM_THREADS := 1
export NUMPY_MADVISE_HUGEPAGE := 0
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint bench bench-receive compare-iq lock wheel clean

demo: $(VENV)/.demo-installed
	$(BIN)/dose-audit demo --home demo-home

test: $(VENV)/.test-installed
	@tests/install_peers.sh
	$(BIN)/python -m pytest -n 3 --dist worksteal

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test-installed
	$(BIN)/python -m bench

bench-receive: $(VENV)/.test-installed
	@tests/install_peers.sh
	$(BIN)/python -m bench.bench_receive

# The same images to pylinac and hazen, each in an environment of its own, and docs/accuracy.md with what each makes of them.
compare-iq: $(VENV)/.test-installed compare/.venv-pylinac/.installed compare/.venv-hazen/.installed
	$(BIN)/python -m compare $(COMPARE)

compare/.venv-%/.installed: compare/requirements-%.txt
	$(PYTHON) -m venv compare/.venv-$*
	compare/.venv-$*/bin/pip install --quiet --require-hashes -r $<
	@touch $@

# Installs from the hashed lock only; the project itself is built with the locked build tool, not a fetched one.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: requirements/demo.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes -r requirements/demo.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q dose_audit
	@touch $@

$(VENV)/.test-installed: requirements/test.txt $(VENV)/.demo-installed
	$(BIN)/pip install --quiet --require-hashes -r requirements/test.txt
	@touch $@

# Needs network access to a package registry.
lock:
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		pyproject.toml requirements/build.in -o requirements/demo.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--extra test -c requirements/demo.txt pyproject.toml requirements/build.in -o requirements/test.txt

wheel: $(VENV)/.demo-installed
	$(BIN)/python -m hatchling build -t wheel

clean:
	rm -rf build dist demo-home .mypy_cache .ruff_cache
