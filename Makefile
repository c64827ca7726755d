# Everything is built in one profile and one target folder (Cargo.toml says why). The caches ccache
# and sccache are used where they are installed and never needed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
# For `make demo ARGS="--nodes 16"`.
ARGS ?=

ifneq ($(shell command -v ccache 2>/dev/null),)
ifeq ($(origin CC),default)
export CC := ccache cc
endif
ifeq ($(origin CXX),default)
export CXX := ccache c++
endif
endif
ifneq ($(shell command -v sccache 2>/dev/null),)
ifeq ($(origin RUSTC_WRAPPER),undefined)
export RUSTC_WRAPPER := sccache
endif
endif

.PHONY: help setup build demo test bench evidence models fmt clippy doc lint tidiness digest demo-short interop interop-64 soak check

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

setup: ## Install what cargo cannot (a C++ compiler, libclang), if it is missing
	@scripts/setup

build: setup ## Build the binary target/release/shoal
	$(CARGO) build --release --locked -p shoal-node

demo: build ## Build, then watch eight nodes learn together (ARGS="--nodes 16" for others)
	@$(CARGO) run --quiet --release --locked -p shoal-node -- demo $(ARGS)

test: setup ## Run all tests
	$(CARGO) test --release --locked --workspace

bench: setup ## Run the codec's benchmarks
	$(CARGO) bench --locked -p shoal-protocol --bench '*'

# Seeds of a row: `make evidence SEEDS=5`. MNIST: a folder with its four IDX files.
SEEDS ?= 3
MNIST ?=
evidence: build ## Simulate every row of docs/EVIDENCE.md again and write its tables
	@scripts/setup jq time
	SEEDS=$(SEEDS) MNIST=$(MNIST) scripts/evidence

# Folders with data: see scripts/models.
FASHION ?= /usr/share/datasets/fashion-mnist
MOTIONS ?=
models: build ## Train every row of docs/MODELS.md over real nodes again and write its tables
	@scripts/setup jq python3
	MNIST=$(MNIST) FASHION=$(FASHION) MOTIONS=$(MOTIONS) scripts/models

fmt: ## Check the formatting
	$(CARGO) fmt --all --check

clippy: setup ## Check with clippy; a warning is an error
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

doc: setup ## Build the documentation; a warning is an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --workspace --no-deps

lint: fmt clippy doc ## fmt, clippy and doc

tidiness: setup ## Check the tree itself: sizes, names, laws
	$(CARGO) test --release --locked --workspace --test tidiness

# Only this project's crates are compiled without optimization and with debug assertions: what they are
# built on stays as it is, or this would be an hour of building.
UNOPTIMIZED := $(foreach crate,shoal-protocol shoal-ml shoal-sim,\
  --config 'profile.release.package.$(crate).opt-level=0' --config 'profile.release.package.$(crate).debug-assertions=true')
digest: setup ## Check that a simulation does the same in an unoptimized build, bit for bit
	@$(CARGO) build --release --locked --workspace --example trace
	@shipped=$$(target/release/examples/trace); \
	$(CARGO) build --release --locked --workspace --example trace $(UNOPTIMIZED); \
	unoptimized=$$(target/release/examples/trace); \
	diff <(echo "$$shipped") <(echo "$$unoptimized") && echo "$$shipped"

demo-short: build ## Run a small demo and check its JSON
	@scripts/setup jq
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(CARGO) run --quiet --release --locked -p shoal-node -- demo --nodes 4 --rounds 10 --out "$$folder" --json - >"$$folder/stdout"; \
	jq -e '.schema == 2 and .nodes == 4 and .rounds == 10 and (.quality.mean | type) == "number"' "$$folder/stdout" >/dev/null \
	  || { echo "error: the demo's JSON is not schema 2"; cat "$$folder/stdout"; exit 1; }

# Foreign peers come from npm and PyPI, hosts are network namespaces: what is missing or not allowed
# is skipped, with a line. `make interop ARGS="--only topic"` runs some of the cases.
interop: build ## Run nodes against foreign peers and between hosts behind NATs
	@scripts/setup python3 ip:iproute2 nft:nftables
	@interop/run.py $(ARGS)

interop-64: build ## Run 64 nodes from one address (minutes of all cores)
	@interop/run.py --only crowd $(ARGS)

soak: build ## Restart a fifth of 16 nodes each minute for half an hour (ARGS="--minutes 3")
	@interop/soak.py $(ARGS)

check: lint tidiness demo-short ## All that CI does after `make test`
