#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, lints, rules of the house, build, demo, tests.
# What CI runs is this. Needs Rust (with clippy and rustfmt), a C compiler, make and perl for the C libraries, Java and Maven for
# the Kafka that is tested with; says what is missing. ASTERISK=FOLDER also makes calls on a real Asterisk, installed there from
# Debian's packages (500 MB, as root).
# Builds outside of the checkout: in $CARGO_TARGET_DIR, else in ~/.cache/calltide/target. The last line is the tests' count.
set -euo pipefail
cd "$(dirname "$0")"
exec </dev/null
export CI=true CARGO_TERM_COLOR=never
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/calltide/target}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

# step NAME COMMAND…: runs it under its name; prints how long it took.
step() {
    local name=$1 begun=$SECONDS status=0
    shift
    printf '\n== %s\n' "$name"
    "$@" || status=$?
    local took=$((SECONDS - begun))
    printf '== %s: %s, %dm%02ds\n' "$name" "$([ $status = 0 ] && echo ok || echo FAILED)" $((took / 60)) $((took % 60))
    return $status
}

prerequisites() {
    local tool packages=""
    for tool in cc:gcc,libc6-dev c++:g++ make:make perl:perl java:openjdk-17-jre-headless mvn:maven; do
        command -v "${tool%%:*}" >/dev/null || packages+=" ${tool#*:}"
    done
    packages=${packages//,/ }
    if [ -n "$packages" ]; then
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "missing:$packages" "install these packages"
        DEBIAN_FRONTEND=noninteractive apt-get update -q
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages
    fi
    command -v cargo >/dev/null || die "no cargo" "install Rust from https://rustup.rs"
    local needed version
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    version=$(rustc --version | cut -d' ' -f2)
    printf '%s\n%s\n' "$needed" "$version" | sort -VC || die "rustc is $version, $needed is needed" "rustup update stable"
    cargo fmt --version || die "no rustfmt" "rustup component add rustfmt"
    cargo clippy --version || die "no clippy" "rustup component add clippy"
    printf 'rustc %s, building in %s\n' "$version" "$CARGO_TARGET_DIR"
}

# Ids of running programs that were built here.
running() {
    local link
    for link in /proc/[0-9]*/exe; do
        case "$(readlink "$link" 2>/dev/null)" in
        "$CARGO_TARGET_DIR"/release/*) basename "$(dirname "$link")" ;;
        esac
    done | sort
}

# Crates of the project, and of the S3 server of its tests, which is a workspace of its own.
S3=tests/s3/Cargo.toml

crates() {
    local target
    target=$(rustc -vV | sed -n 's/^host: //p')
    cargo fetch --locked --target "$target" && cargo fetch --locked --target "$target" --manifest-path "$S3"
}

format() {
    cargo fmt --all --check && cargo fmt --check --manifest-path "$S3"
}

demo() {
    timeout 300 "$CARGO_TARGET_DIR/release/calltide" --data "$scratch/demo" demo --once
}

# Runs every test; afterwards $scratch/counts holds what the test binaries said of themselves.
tests() {
    local status=0
    # Through a file rather than a pipe: a process that a test left behind would keep a pipe open.
    : >"$scratch/tests"
    cargo test --locked --release --workspace --no-fail-fast >"$scratch/tests" 2>&1 &
    tail -n +1 -f --pid=$! "$scratch/tests"
    wait $! || status=$?
    # A test that runs its own binary as a child (to kill it) filters for one role: that result is not a binary's own.
    grep '^test result: .* 0 filtered out;' "$scratch/tests" >"$scratch/counts" || die "no test binary gave a result"
    local begun ended
    begun=$(grep -c '^ *Running ' "$scratch/tests" || true)
    ended=$(wc -l <"$scratch/counts")
    [ "$begun" = "$ended" ] || { echo "error: $begun test binaries began, $ended gave a result" >&2; status=1; }
    return $status
}

count() {
    awk '{ for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1); if ($i == "ignored;") s += $(i-1) } }
        END { printf "%d passed, %d failed", p, f; if (s) printf ", %d skipped", s; print ""; exit !(p > 0 && f == 0) }' "$scratch/counts"
}

# One profile and always the whole workspace with its tests: other choices turn on other features of dependencies, and
# these would be built once more. Clippy, too, sees what is built.
step "prerequisites" prerequisites
before=$(running)
step "crates" crates
step "format" format
step "clippy" cargo clippy --locked --release --workspace --all-targets -- -D warnings
step "build" cargo test --locked --release --workspace --no-run
step "S3 server" cargo build --locked --manifest-path "$S3" --target-dir "$CARGO_TARGET_DIR/s3-server"
step "tidy" cargo test --locked --release --workspace --test it -- tidy::
step "demo" demo
failed=0
step "tests" tests || failed=1
# A child that ends with its parent may take a moment to notice.
for _ in 1 2 3 4 5; do
    left=$(comm -13 <(echo "$before") <(running))
    [ -n "$left" ] || break
    sleep 1
done
[ -z "$left" ] || { failed=1; echo "error: left running:" $left >&2; kill $left || true; }
printf '\nall steps: %dm%02ds\n' $((SECONDS / 60)) $((SECONDS % 60))
[ -s "$scratch/counts" ] || exit 1
count || failed=1
exit $failed
