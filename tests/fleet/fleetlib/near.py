"""A fleet's state and processes, and the two verbs that tests use most: with as few of Python's modules as that takes, for
these need longer to load than the verbs to run.
"""

import json
import os
import sys

# Physical path: hosts are looked up in it from inside other mount namespaces.
DIR = os.path.realpath(os.environ.get("FLEET_DIR") or f"{os.environ.get('TMPDIR', '/tmp')}/fleet")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STATE = f"{DIR}/state.json"


def fail(message):
    """Ends the script with a message on standard error and exit status 1."""
    sys.exit(f"fleet: {message}")


def children(pid):
    """Pids of the direct children of a process, none when it is gone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as pids:
            return [int(p) for p in pids.read().split()]
    except OSError:
        return []


def start_time(pid):
    """When a process started, in clock ticks since boot: tells it from a later one of the same number."""
    try:
        with open(f"/proc/{pid}/stat") as fields:
            return int(fields.read().rpartition(")")[2].split()[19])
    except OSError:
        return None


def state():
    try:
        with open(STATE) as text:
            return json.load(text)
    except FileNotFoundError:
        return {"hosts": [], "services": []}


def find(name):
    for h in state()["hosts"]:
        if h["name"] == name:
            return h
    fail(f"no host {name}")


def keeper():
    """Pid of the keeper, None when there is no fleet."""
    k = state().get("keeper")
    return k["pid"] if k and start_time(k["pid"]) == k["start"] else None


def keeper_or_fail():
    return keeper() or fail("not up")


def process(host):
    """Pid of a host's process 1, None while it is off."""
    for p in children(keeper_or_fail()):
        try:
            with open(f"/proc/{p}/cmdline", "rb") as words:
                argv = words.read().split(b"\0")[:-1]
        except OSError:
            continue
        if argv and argv[0] == b"unshare" and argv[-1] == host["name"].encode():
            return next(iter(children(p)), None)
    return None


def process_or_fail(host):
    return process(host) or fail(f"{host['name']} is off")


def entering(host, *argv):
    """The command that runs argv as root on the host, beside ssh."""
    enter = ["nsenter", "-t", str(process_or_fail(host)), "-m", "-u", "-i", "-n", "-p", "-r", "-w"]
    return [*enter, "env", "-i", f"PATH={PATH}", "HOME=/root", *argv]


def as_root(host, argv):
    """Replaces this process by argv on the host."""
    argv = entering(host, *argv)
    os.execvp(argv[0], argv)


def as_controller(argv):
    """Replaces this process by argv: the controller's network, the hosts' names resolved, HOME = DIR/home.

    No process is put between, so that a signal to this one reaches argv.
    """
    env = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "SSH_AGENT_PID")}
    env["HOME"] = f"{DIR}/home"
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    os.execvpe(
        "nsenter",
        ["nsenter", f"--net=/proc/{keeper_or_fail()}/ns/net", "unshare", "--mount", "--propagation", "private"]
        + ["sh", "-c", script, f"{DIR}/hosts", *argv],
        env,
    )
