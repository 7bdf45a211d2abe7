#!/bin/sh
# Fuzzes each target for a while, one at a time: run.sh SECONDS [TARGET...]
#
# A stable toolchain will do. There is no unsafe code here, so no sanitizer is used unless asked
# for: SANITIZER=address. New inputs go to a working corpus beside the build; a crash stops the run
# and leaves its input in artifacts/.
set -eu

usage="usage: run.sh SECONDS [TARGET...]; for example: run.sh 60 frame_walker"
seconds=${1:?$usage}
shift
case $seconds in
'' | *[!0-9]*)
    echo "$usage" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
command -v cargo-fuzz >/dev/null || {
    echo "cargo-fuzz is missing; it comes with: cargo install cargo-fuzz" >&2
    exit 1
}
export RUSTC_BOOTSTRAP=1
work=${CARGO_TARGET_DIR:-fuzz/target}/fuzz-work
[ $# -gt 0 ] || set -- $(cargo fuzz list)

for target in "$@"; do
    echo "== $target, $seconds s"
    mkdir -p "$work/$target"
    cargo fuzz run "$target" --sanitizer "${SANITIZER:-none}" \
        "$work/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
done
