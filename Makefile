# MetaML's targets. `make help` prints them; CI calls `make lint test` and nothing else.
# What is made stays in bin/, build/, dist/, out/ and .venv/, all ignored by git.

PYTHON ?= python3
export PYTHON

# pytest would keep the folders of three runs.
export PYTEST_ADDOPTS ?= -o tmp_path_retention_policy=none

VENV    := $(CURDIR)/.venv
TEST    := $(CURDIR)/build/venv-test
OLDEST  := $(CURDIR)/build/venv-oldest
CLIENTS := $(CURDIR)/build/venv-clients
TOOLS   := $(CURDIR)/build/venv-tools
BENCH   := $(CURDIR)/build/venv-bench

# Packages with goroutines are tested under the race detector.
RACED := '^[^/]*/[^/]*/[^/]*/(agent|cmd/metaml[^/]*|deployer|kernel|test/engine)(/|$$)'

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

.PHONY: build
build: ## build the programs into bin/
	@tools/prerequisites go cc
	@mkdir -p bin
	@tools/build-programs bin

# The demo's environment: the lock's packages, and a wheel for this machine alone.
.PHONY: demo-venv
demo-venv: build
	@tools/prerequisites python
	@go run ./cmd/internal/wheel -bin bin -out build/wheel >/dev/null
	@$(PYTHON) tools/venv.py $(VENV) requirements/demo.txt --wheel build/wheel/metaml-*.whl

# On a cluster: make demo TARGET=kubernetes REPOSITORY=… [BASE=…], or IMAGE=…, runs the same notebook where the
# kubeconfig leads, in NAMESPACE, else in that of its context, and deletes its sweep and its server afterwards.
TARGET ?= local

.PHONY: demo
demo: demo-venv ## run examples/digits.ipynb through our kernel, or with TARGET=kubernetes REPOSITORY=… on a cluster; leaves a notebook and a page in out/
	@tools/in-venv $(VENV) python tools/demo.py --target "$(TARGET)" --image "$(IMAGE)" --repository "$(REPOSITORY)" --base "$(BASE)" --namespace "$(NAMESPACE)" examples/digits.ipynb out

.PHONY: lab
lab: demo-venv ## open JupyterLab on examples/
	@tools/in-venv $(VENV) jupyter lab examples

.PHONY: test
test: build test-venvs ## run every test, in an empty home folder, and check that nothing is left behind
	@$(PYTHON) tools/undisturbed.py $(MAKE) --no-print-directory --keep-going test-vet test-go test-race test-python test-oldest test-notebook test-clients test-browser in-cluster

.PHONY: test-venvs
test-venvs:
	@tools/prerequisites python
	@$(PYTHON) tools/venv.py $(TEST) requirements/test.txt
	@$(PYTHON) tools/venv.py $(OLDEST) requirements/oldest.txt
	@$(PYTHON) tools/venv.py $(CLIENTS) requirements/clients.txt

.PHONY: test-vet test-go test-race
# What needs no C is also vetted for macOS; nothing of it runs there.
test-vet:
	go vet ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go vet ./agent/... ./deployer/... ./kernel/... ./test/engine ./cmd/metaml-agent ./cmd/metaml-build ./cmd/metaml-kernel

test-go:
	go test -timeout 30m $$(go list ./... | grep -v -E $(RACED))

test-race:
	go test -timeout 30m -race $$(go list ./... | grep -E $(RACED))

.PHONY: test-python test-oldest
test-python:
	PATH=$(CURDIR)/bin:$$PATH $(TEST)/bin/python -m pytest jupyter-ext/python/tests

test-oldest:
	PATH=$(CURDIR)/bin:$$PATH $(OLDEST)/bin/python -m pytest jupyter-ext/python/tests

.PHONY: test-notebook test-clients test-browser
test-notebook:
	cd test/notebook && $(TEST)/bin/python -m pytest -c pytest.ini

test-clients:
	cd test/clients && PATH=$(CURDIR)/bin:$$PATH $(CLIENTS)/bin/python -m pytest -c pytest.ini

test-browser:
	@test/browser/run $(TEST)

# After the others: servers and pods take all that this machine has.
.PHONY: in-cluster test-cluster
in-cluster:
	@test/cluster/run

test-cluster: build test-venvs ## run the tests that need a cluster (Linux, root), in one of their own
	@test/cluster/run

# Ten follow a run at the same time, so 500 seeds are 50 runs, of half a minute each. SIMULATION_SEED=n repeats one.
SEEDS ?= 500
UPDATES ?= 100

.PHONY: soak
soak: build test-venvs ## bad connections by SEEDS=500 seeds, and UPDATES=100 updates of a server (Linux, root)
	@METAML_SEEDS=$(SEEDS) METAML_UPDATES=$(UPDATES) test/cluster/run -timeout 6h -v \
		-run 'WhateverConnectionsDo|AnUpdateFailsNoRequest'

.PHONY: bench
bench: build test-venvs ## measure, beside the peers in the same run
	@$(PYTHON) tools/venv.py $(BENCH) requirements/bench.txt
	@$(TEST)/bin/python test/bench

.PHONY: lint
lint: test-venvs ## run the linters for Go and Python
	@tools/prerequisites go cc
	@$(PYTHON) tools/venv.py $(TOOLS) requirements/tools.txt
	@tools/lint

.PHONY: wheel
wheel: ## build dist/metaml-*.whl for this machine's platform
	@tools/prerequisites go cc python
	@$(PYTHON) tools/venv.py $(TOOLS) requirements/tools.txt
	@tools/release dist host

.PHONY: wheels
wheels: ## build the wheels of all platforms into dist/all/ (macOS is built here, not run)
	@tools/prerequisites go cc python
	@$(PYTHON) tools/venv.py $(TOOLS) requirements/tools.txt
	@tools/release dist/all linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

# The locks are valid for Python 3.10 to 3.14 on every platform, the image's for its own Python alone. uv comes with the
# tools.
.PHONY: locks
locks: ## bring the lock files in requirements/ up to date
	@$(PYTHON) tools/venv.py $(TOOLS) requirements/tools.txt
	@for name in demo test oldest clients tools bench; do \
		$(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-annotate --upgrade \
			-o requirements/$$name.txt requirements/$$name.in || exit 1; \
	done
	@$(TOOLS)/bin/uv pip compile --quiet --python-version 3.11 --python-platform linux --generate-hashes --no-header --no-annotate --upgrade \
		-o requirements/image.txt requirements/image.in

.PHONY: clean
clean: ## remove everything that was made here
	rm -rf bin build dist out .venv
