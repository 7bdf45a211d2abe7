# `make` tells what there is. Everything else is a target of one or two commands.

FUZZ_SECONDS = $(or $(SECONDS),60)
TARGET = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo test bench fuzz fmt lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## two RabbitMQ clusters, the gateway, clients; KILL=1 kills a node, Ctrl-C ends it
	@integration/install.sh demo
	cargo build --release -p amqp-gateway
	cargo build --release -p integration --bin demo
	@exec env KILL=$(KILL) DEMO_SECONDS=$(DEMO_SECONDS) $(TARGET)/release/demo

test: lint ## every test there is, those against real brokers and clients included
	cargo build --release -p amqp-gateway
	AMQP_GATEWAY_BIN=$(abspath $(TARGET))/release/amqp-gateway cargo test --workspace

bench: ## this gateway, HAProxy, nginx and no proxy side by side: one table, and JSON
	@integration/install.sh bench
	cargo build --release -p amqp-gateway
	cargo run --release -p integration --bin bench

fuzz: ## every fuzz target of amqp-codec for SECONDS=60 each
	@set -e; for target in amqp-codec/fuzz/fuzz_targets/*.rs; do \
	  name=$$(basename $$target .rs); echo "fuzz: $$name for $(FUZZ_SECONDS) s"; \
	  (cd amqp-codec && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$name \
	    -- -max_total_time=$(FUZZ_SECONDS)); \
	done

fmt: ## format the Rust code
	cargo fmt --all

lint: ## formatting, clippy, licences and advisories
	@integration/install.sh test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo deny --log-level error check

clean: ## remove all that was built
	cargo clean
