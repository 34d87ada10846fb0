# `make demo` and `make test` are all that a fresh machine with Python >= 3.11, git and make needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
REQS   := requirements
PEERS  := .venv-peers
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
CODE   := attacks bench connectors controller examples proxy standalone tests conftest.py
# Three processes, each with whole files in their order: docs/decisions/test-processes.md says why.
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

# Where nothing may be compiled once and for all, each process of the suite rewrites all tests' assertions again: ten
# seconds of each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-clients test-fast test-python test-bare count lint check mutate bench bench-quick bench-pairs bench-shares bench-check bench-record peers bench-cluster bench-callers bench-probes bench-trust \
  attack attack-short attack-record format house pictures clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: $(VENV)/.runtime ## Clone from and push to a password-protected git server through a Connector, without the password
	@$(BIN)/python -m standalone demo

serve: $(VENV)/.runtime ## Serve examples/quickstart beside a git server on port 3000, until Ctrl-C
	@$(BIN)/python -m standalone demo --serve

test: $(VENV)/.dev ## Run the test suite (six minutes on two cores)
	@$(PYTEST) -m 'not clients'

test-clients: $(VENV)/.dev ## Run the long matrices of real clients, which `make test` leaves out (a minute on two cores)
	@$(PYTEST) -m clients tests/e2e

UNIT := -m 'not (apiserver or curl or e2e or git or kubectl or nginx or slow)' \
  tests/connectors tests/controller tests/proxy tests/standalone tests/test_layout.py

test-fast: $(VENV)/.dev ## Run the unit tests: without other programs, and without the long proofs about what is remembered (a minute on two cores)
	@$(PYTEST) $(UNIT) --ignore tests/proxy/transcripts/remembering

# CI runs these on the lowest Python and on the images' too.
test-python: $(VENV)/.dev ## Run all tests that need no other program: what another Python may change (a minute and a half on two cores)
	@$(PYTEST) $(UNIT)

# "all": of every program that tests/peers/tools.py names. Here are the tests that may want one.
test-bare: $(VENV)/.dev ## Run the tests that need other programs as on a machine that lacks them all: each is skipped by name
	@$(PYTEST) --without all -m 'not slow' tests/cluster tests/deploy tests/e2e tests/examples tests/peers

count: $(VENV)/.dev ## Count the test functions, and the cases that they make
	@$(BIN)/python -m tests.counted

lint: $(VENV)/.dev ## Format, lint, types, import contracts
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## What CI runs: format, lint, types, import contracts, tests with warnings as errors

mutate: $(VENV)/.dev ## Take each clause of what is remembered away, and see a test fail (about ten minutes; WORDS=r07 for some)
	@$(BIN)/python -m tests.mutation.run $(WORDS)

bench: $(VENV)/.dev peers ## Measure beside six other proxies, and write docs/performance.* (needs nginx, wrk, curl; about 45 minutes)
	@$(BIN)/python -m bench.everything

bench-quick: $(VENV)/.dev ## Compare this tree (and another one: BASE=path, which has its own .venv) with nginx in a minute
	@$(BIN)/python -m bench.compare $(if $(BASE),--base $(BASE))

bench-pairs: $(VENV)/.dev ## Compare this tree with another one (BASE=path), or with itself with more workers (WORKERS=2), in 20 rounds
	@$(BIN)/python -m bench.pairs $(if $(BASE),--base $(BASE)) $(if $(WORKERS),--workers $(WORKERS))

bench-shares: $(VENV)/.dev ## Show where the CPU of a small request goes: kernel, interpreter, ... (needs nginx, wrk and perf; half a minute)
	@$(BIN)/python -m bench.shares

bench-check: $(VENV)/.dev ## Fail where a small request costs more, beside nginx, than bench/recorded.json allows (half a minute)
	@$(BIN)/python -m bench.regression

bench-record: $(VENV)/.dev ## Write into bench/recorded.json what a small request costs now (on a quiet machine)
	@$(BIN)/python -m bench.regression --record

bench-cluster: $(VENV)/.dev ## Measure with 2,000 Connectors on an API server (needs KUBEBUILDER_ASSETS and kubectl; about three minutes)
	@$(BIN)/python -m bench.in_cluster

bench-callers: $(VENV)/.dev ## Measure 1,000 callers on 100 Connectors and a flood (needs KUBEBUILDER_ASSETS, nginx and wrk; half a minute)
	@$(BIN)/python -m bench.callers

bench-probes: $(VENV)/.dev ## Measure 5,000 Connectors that are probed (needs KUBEBUILDER_ASSETS and kubectl; about five minutes)
	@$(BIN)/python -m bench.probes

bench-trust: $(VENV)/.dev ## Measure how soon a change of CAs is in effect (needs KUBEBUILDER_ASSETS, kubectl and nginx; about three minutes)
	@$(BIN)/python -m bench.trust

attack: $(VENV)/.dev ## Play each attack of docs/security-tests.md beside a well-behaved client (five minutes; WORKERS=2 for more processes, ONLY="slow readers" for one)
	@$(BIN)/python -m attacks $(if $(WORKERS),--workers $(WORKERS)) $(if $(ONLY),--only "$(ONLY)")

attack-short: $(VENV)/.dev ## Play a part of them, smaller and shorter (half a minute); CI runs it
	@$(BIN)/python -m attacks --short

attack-record: $(VENV)/.dev ## Play all, with one process and with two, and write docs/security-tests.md (ten minutes)
	@$(BIN)/python -m attacks --write; one=$$?; $(BIN)/python -m attacks --write --workers 2 && exit $$one

peers: ## Install the proxies that Debian has not, for `make bench`, in a virtual environment of their own
	@$(MAKE) --no-print-directory $(PEERS)/.installed || echo 'without the proxies of $(REQS)/peers.txt' >&2

house: $(VENV)/.dev ## Show what this tree (and another one: BASE=path) is like to enter: files, names, words, weight
	@$(BIN)/python -m bench.house $(if $(BASE),--base $(BASE))

pictures: $(VENV)/.dev ## Draw the pictures of docs/architecture.md again, from what the code imports
	@$(BIN)/python -m tests.docs.pictures

format: $(VENV)/.dev ## Rewrite the code in the project's format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

# The stamp files make every target install what it needs on first use, and again when a pin changes.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed; "$(PYTHON)" is older or missing.' \
	       'Install one and name it: make PYTHON=python3.12 demo' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo '"$(PYTHON)" cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@echo 'creating $(VENV) and installing pinned requirements (once)' >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created $(REQS)/build.txt $(REQS)/runtime.txt pyproject.toml
	@$(PIP) install --require-hashes -r $(REQS)/build.txt -r $(REQS)/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime $(REQS)/dev.txt
	@$(PIP) install --require-hashes -r $(REQS)/dev.txt
	@touch $@

$(PEERS)/.installed: $(REQS)/peers.txt
	@echo 'creating $(PEERS) and installing pinned requirements (once)' >&2
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $(REQS)/peers.txt
	@touch $@
