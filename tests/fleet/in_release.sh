#!/bin/bash
# in_release.sh RELEASE PROGRAM ARGUMENT...: runs a program of this checkout among the shells and tools of another
# Debian release, whose root `fleet base RELEASE` has made. It sees this checkout at the same place, and writes nothing
# to that root. Needs root.
set -eu
here=$PWD base=${FLEET_RELEASES:-$PWD/target/test-releases}/$1 program=$(realpath "$2")
shift 2
[ -f "$base.complete" ] || { echo "no base: ${base##*/}" >&2; exit 2; }
work=$(mktemp -d)
trap 'rmdir "$work"' EXIT
unshare --mount --pid --fork --kill-child --propagation private bash -c '
set -eu
work=$1 base=$2 here=$3; shift 3
mount -t tmpfs tmpfs "$work"
mkdir "$work"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$work/root"
mount --rbind /dev "$work/root/dev"
mount -t proc proc "$work/root/proc"
mkdir -p "$work/root$here"
mount --rbind "$here" "$work/root$here"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CARGO_MANIFEST_DIR=$here
# Not every shell is there.
unset CERTROLL_TEST_REQUIRE_ALL
# Not in place of this shell: process 1 has to reap what the tests leave, or who waits for such a process waits for ever.
chroot "$work/root" sh -c "cd \"\$0\" && exec \"\$@\"" "$here" "$@" &
wait $!
' in-release "$work" "$base" "$here" "$program" "$@"
