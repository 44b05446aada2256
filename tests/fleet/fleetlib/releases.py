"""The root that hosts stand on: this machine's own, or another Debian release's, made by mmdebstrap and kept.

Kept ones lie in $FLEET_RELEASES (default: target/test-releases of the checkout), one directory each; they are made anew when
`releases.txt` or how they are made changes, and never written to by a host.
"""

import fcntl
import hashlib
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from .place import DIR, HERE, PATH, fail, run

KEPT = Path(os.environ.get("FLEET_RELEASES") or HERE.parent.parent / "target/test-releases").absolute()
LIST = HERE / "releases.txt"
MIRROR = "http://deb.debian.org/debian"
# Runs while the package lists are there: INSTALL BASE PACKAGE...
INSTALL = r"""
set -eu
base=$1; shift
there=$(chroot "$base" apt-cache --generate pkgnames | sort)
wanted=$(printf '%s\n' "$@" | sort | comm -12 - <(echo "$there"))
DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$base" apt-get -qq install -y $wanted
"""


def own():
    """Code name of this machine's Debian release; the empty text elsewhere."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return ""
    debian = re.search(r"^ID=debian$", text, re.M)
    name = re.search(r"^VERSION_CODENAME=(\w+)$", text, re.M)
    return name[1] if debian and name else ""


def root(release):
    """Where the files of a release are: the machine's own, or a kept base."""
    return Path("/") if release in ("", own()) else KEPT / release


def of_fleet():
    """The root of the fleet's hosts."""
    state = DIR / "state.json"
    return root(json.loads(state.read_text()).get("release", "") if state.exists() else "")


def check(release):
    """Says why there can be no hosts of a release here, or nothing."""
    if root(release) == Path("/") or (KEPT / f"{release}.complete").exists():
        return None
    return None if shutil.which("mmdebstrap", path=PATH) else "not installed: mmdebstrap"


def build(release):
    """Makes a base unless it is there; of several processes one works and the others wait."""
    base = root(release)
    if base == Path("/"):
        return base
    mark = KEPT / f"{release}.complete"
    stamp = hashlib.sha256(LIST.read_bytes() + INSTALL.encode() + inspect.getsource(bootstrap).encode()).hexdigest()
    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / f"{release}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text() == stamp:
            return base
        mark.unlink(missing_ok=True)
        shutil.rmtree(base, ignore_errors=True)
        with open(KEPT / f"{release}.log", "w") as log:
            told = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "check": False}
            made = bootstrap(release, base, packages(), **told)
        if made.returncode:
            shutil.rmtree(base, ignore_errors=True)
            last = (KEPT / f"{release}.log").read_text().splitlines()[-8:]
            fail(f"no base of {release}: " + "\n".join(last))
        mark.write_text(stamp)
    return base


def bootstrap(release, base, wanted, more=(), **told):
    """Makes a minimal system with those of the wanted packages that the release has."""
    # A mirror may lag behind: what it has is signed all the same.
    options = ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"']
    options += ["--dpkgopt=force-unsafe-io", "--skip=cleanup/reproducible", *more]
    hook = shlex.join(["bash", "-c", INSTALL, "install"]) + ' "$1" ' + shlex.join(wanted)
    options += ["--mode=root", "--variant=minbase", f"--customize-hook={hook}"]
    made = run("mmdebstrap", *options, release, base, mirror(), **told)
    if made.returncode == 0:
        shutil.copyfile("/etc/resolv.conf", base / "etc/resolv.conf")
        policy = base / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    return made


# Runs in the keeper's mounts and this machine's network: ADD ROOT LAYERS PACKAGE...
ADD = r"""
set -eu
root=$1 layers=$2; shift 2
mkdir -p "$layers/base" "$layers/work" "$layers/merged"
base=$layers/merged
mount -t overlay overlay -o "lowerdir=$root,upperdir=$layers/base,workdir=$layers/work" "$base"
mount -t proc proc "$base/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$base/dev/pts"
mount -t tmpfs tmpfs "$base/run"
for node in null zero random urandom; do touch "$base/dev/$node"; mount --bind "/dev/$node" "$base/dev/$node"; done
printf '#!/bin/sh\nexit 101\n' >"$base/usr/sbin/policy-rc.d"
chmod +x "$base/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
[ -n "$(ls "$base"/var/lib/apt/lists/*Packages* 2>/dev/null)" ] || chroot "$base" apt-get -qq update
chroot "$base" apt-get -qq -o Dpkg::Options::=--force-unsafe-io -o APT::Install-Recommends=false -o APT::Cache-Limit=0 install -y "$@"
rm -rf "$base"/var/cache/apt/*.bin "$base"/var/cache/apt/archives/*.deb
"""


def install(keeper, store, base, wanted):
    """Installs packages into the layer that all hosts of a fleet have over `base`."""
    apart = ["nsenter", f"--mount=/proc/{keeper}/ns/mnt", "unshare", "--mount", "--pid", "--fork", "--propagation", "private"]
    argv = [*apart, "bash", "-c", ADD, "add", base, store / "layers", *wanted]
    done = run(*argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        fail(f"cannot install {' '.join(wanted)}: " + "\n".join(done.stdout.splitlines()[-8:]))


def packages():
    return [line for line in (line.partition("#")[0].strip() for line in LIST.read_text().splitlines()) if line]


def mirror():
    """Where this machine's apt gets Debian from."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian"]
    try:
        found = run(*argv, check=False, text=True, capture_output=True).stdout.split()
    except OSError:
        found = []
    return next((uri for uri in found if uri.startswith("http")), MIRROR)


def which(base, program):
    """Where a program is below a base, as its hosts name it; None when it is not there."""
    for directory in PATH.split(":"):
        if os.path.lexists(f"{base}/{directory}/{program}"):
            return f"{directory}/{program}"
    return None


def version(base, package):
    """The version of an installed package; the empty text when it is not there."""
    argv = ["dpkg-query", f"--admindir={base / 'var/lib/dpkg'}", "-W", "-f", "${db:Status-Status} ${Version}", package]
    status, _, number = run(*argv, check=False, text=True, capture_output=True).stdout.partition(" ")
    return number if status == "installed" else ""


def is_from(base, package, number):
    """Whether an installed package has this version or a later one."""
    there = version(base, package)
    return bool(there) and run("dpkg", "--compare-versions", there, "ge", number, check=False).returncode == 0


def files(base, package):
    """The paths of a package."""
    listed = base / "var/lib/dpkg/info"
    for name in (f"{package}.list", f"{package}:amd64.list", f"{package}:arm64.list"):
        if (listed / name).exists():
            return (listed / name).read_text().split()
    return []
