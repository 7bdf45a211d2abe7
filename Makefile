# `make` tells what there is. Everything else is a target of one or two commands.

FUZZ_SECONDS = $(or $(SECONDS),60)
TARGET = $(or $(CARGO_TARGET_DIR),target)

# What the console is made of; npm puts it together in admin-ui/dist.
CONSOLE = docs/openapi.json $(shell find admin-ui/src admin-ui/public -type f ! -name schema.ts) \
  $(addprefix admin-ui/,index.html package.json tsconfig.json vite.config.ts)

.DEFAULT_GOAL := help
.PHONY: help demo console test bench bench-console bench-vrrp fuzz fmt lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## two RabbitMQ clusters, the gateway, clients; KILL=1 kills a node, Ctrl-C ends it
	@integration/install.sh demo
	@$(MAKE) --silent console
	cargo build --release -p amqp-gateway
	cargo build --release -p integration --bin demo
	@exec env KILL=$(KILL) DEMO_SECONDS=$(DEMO_SECONDS) $(TARGET)/release/demo

console: admin-ui/dist/index.html ## the web console, by npm; the next build of the gateway takes it in

admin-ui/node_modules/.installed: admin-ui/package-lock.json
	cd admin-ui && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

admin-ui/dist/index.html: admin-ui/node_modules/.installed $(CONSOLE)
	cd admin-ui && npm run --silent build -- --logLevel warn

# Three at a time: tests against brokers wait more than they compute, but each may start a cluster.
test: lint ## every test there is, those against real brokers and clients included
	cargo build --release -p amqp-gateway
	AMQP_GATEWAY_BIN=$(abspath $(TARGET))/release/amqp-gateway \
	  RUST_TEST_THREADS=$(or $(RUST_TEST_THREADS),3) cargo test --workspace

bench: ## this gateway, HAProxy, nginx and no proxy side by side: one table, and JSON
	@integration/install.sh bench
	@$(MAKE) --silent console
	cargo build --release -p amqp-gateway
	cargo run --release -p integration --bin bench

bench-console: ## what it costs that consoles look at 10,000 sessions
	cargo build --release -p amqp-gateway
	cargo run --release -p integration --bin bench -- console

bench-vrrp: ## a shared address through crashes, cuts and rejoins, beside keepalived; as root
	@integration/install.sh bench
	cargo build --release -p amqp-gateway
	cargo run --release -p integration --bin bench_vrrp -- $(if $(PEERS),--peers $(PEERS))

fuzz: ## every fuzz target of amqp-codec for SECONDS=60 each; needs cargo-fuzz
	@amqp-codec/fuzz/run.sh $(FUZZ_SECONDS)

fmt: ## format the Rust code
	cargo fmt --all

lint: ## formatting, clippy, licences, sources and banned crates; the console's types and unit tests
	@integration/install.sh test
	@$(MAKE) --silent console
	cd admin-ui && npm run --silent check && npm run --silent test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --log-level error check bans licenses sources; \
	else echo "lint: licences and sources not checked: cargo install cargo-deny --locked"; fi

clean: ## remove all that was built
	cargo clean
	rm -rf admin-ui/dist admin-ui/node_modules
