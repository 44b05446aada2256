"""Where things are, and small helpers around processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
# Physical path: hosts are looked up in it from inside other mount namespaces.
DIR = Path(os.path.realpath(os.environ.get("FLEET_DIR") or Path(os.environ.get("TMPDIR", "/tmp")) / "fleet"))
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SERVER_NAME = "www.fleet.test"


def fail(message):
    """Ends the script with a message on standard error and exit status 1."""
    sys.exit(f"fleet: {message}")


def run(*argv, **options):
    """Runs a program; a non-zero exit status is an exception unless check=False."""
    options.setdefault("check", True)
    return subprocess.run([str(a) for a in argv], **options)


def quiet(*argv, **options):
    """Runs a program whose standard error only matters when it fails."""
    done = run(*argv, check=False, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
    if done.returncode:
        fail(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def children(pid):
    """Pids of the direct children of a process, none when it is gone."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def start_time(pid):
    """When a process started, in clock ticks since boot: tells it from a later one of the same number."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


def missing_programs(names):
    """Those of `names` that are not on the machine."""
    return [n for n in names if not shutil.which(n, path=PATH)]
