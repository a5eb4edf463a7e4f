# MetaML's targets. `make help` prints them; CI calls `make test` and nothing else.
# What is made stays in bin/, build/, dist/, out/ and .venv/, all ignored by git.

PYTHON  ?= python3
VERSION := $(shell cat VERSION)
export PYTHON

# -trimpath and no VCS stamp: the same sources give the same bytes in every clone.
GOBUILD := go build -trimpath -buildvcs=false -ldflags='-s -w'
VENV    := $(CURDIR)/.venv
LOCAL   := build/wheel/local

.DEFAULT_GOAL := help
.PHONY: help build demo lab test test-go test-python test-browser test-venvs bench lint lint-venv wheel wheels locks clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target text; do printf '%-16s %s\n' "$$target" "$$text"; done

build: ## build bin/metaml, metaml-kernel, metaml-nbconvert and metaml-agent
	@tools/prerequisites go cc
	@mkdir -p bin
	@$(GOBUILD) -o bin/ ./cmd/metaml ./cmd/metaml-nbconvert
	@CGO_ENABLED=0 $(GOBUILD) -o bin/ ./cmd/metaml-kernel ./cmd/metaml-agent

# The demo's environment: the lock's packages and our own wheel, built here.
.PHONY: demo-venv
demo-venv: build
	@tools/prerequisites python
	@go run ./cmd/internal/wheel -bin bin -out $(LOCAL)
	@$(PYTHON) tools/venv.py $(VENV) requirements/demo.txt --wheel $$(ls $(LOCAL)/metaml-*.whl)

demo: demo-venv ## run examples/digits.ipynb through our kernel; leaves out/digits.ipynb and .html
	@tools/in-venv $(VENV) python tools/demo.py examples/digits.ipynb out

lab: demo-venv ## open JupyterLab on examples/
	@tools/in-venv $(VENV) jupyter lab examples

clean: ## remove everything that was made here
	rm -rf bin build dist out .venv
