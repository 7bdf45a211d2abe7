# `make` tells what there is. Everything else is a target of one or two commands.

FUZZ_SECONDS = $(or $(SECONDS),60)
TARGET = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-vrrp fuzz fmt lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## two RabbitMQ clusters, the gateway, clients; KILL=1 kills a node, Ctrl-C ends it
	@integration/install.sh demo
	cargo build --release -p amqp-gateway
	cargo build --release -p integration --bin demo
	@exec env KILL=$(KILL) DEMO_SECONDS=$(DEMO_SECONDS) $(TARGET)/release/demo

# Three at a time: tests against brokers wait more than they compute, but each may start a cluster.
test: lint ## every test there is, those against real brokers and clients included
	cargo build --release -p amqp-gateway
	AMQP_GATEWAY_BIN=$(abspath $(TARGET))/release/amqp-gateway \
	  RUST_TEST_THREADS=$(or $(RUST_TEST_THREADS),3) cargo test --workspace

bench: ## this gateway, HAProxy, nginx and no proxy side by side: one table, and JSON
	@integration/install.sh bench
	cargo build --release -p amqp-gateway
	cargo run --release -p integration --bin bench

bench-vrrp: ## a shared address through crashes, cuts and rejoins, beside keepalived; as root
	@integration/install.sh bench
	cargo build --release -p amqp-gateway
	cargo run --release -p integration --bin bench_vrrp -- $(if $(PEERS),--peers $(PEERS))

fuzz: ## every fuzz target of amqp-codec for SECONDS=60 each; needs cargo-fuzz
	@amqp-codec/fuzz/run.sh $(FUZZ_SECONDS)

fmt: ## format the Rust code
	cargo fmt --all

lint: ## formatting, clippy, licences, sources and banned crates
	@integration/install.sh test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --log-level error check bans licenses sources; \
	else echo "lint: licences and sources not checked: cargo install cargo-deny --locked"; fi

clean: ## remove all that was built
	cargo clean
