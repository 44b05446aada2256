"""Hosts: the keeper that holds them, their start and end, and what is written about them."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import layer, pki, releases, services
from .near import children, entering, find, keeper, keeper_or_fail, process, process_or_fail, start_time, state
from .place import DIR, HERE, each, fail, missing_programs, quiet, run

STATE = DIR / "state.json"
# The control group of a fleet whose hosts run systemd.
CGROUP = "fleet-" + hashlib.sha256(bytes(DIR)).hexdigest()[:12]
CONTROLLER = ("198.18.255.1", "02:c6:12:ff:ff:01")
WAIT = ["services", "sshd"]
NEEDED = "unshare nsenter ip bridge openssl ssh-keygen sshd sudo bash mount".split()


# ---------------------------------------------------------------- state
def save(st):
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(st, indent=1) + "\n")
    new.rename(STATE)


def store():
    """The keeper's tmpfs, seen from here."""
    return Path(f"/proc/{keeper_or_fail()}/root{DIR}/store")


def inside(host, *argv, **options):
    """Runs argv as root on the host, beside ssh."""
    return run(*entering(host, *argv), **options)


def plain(st=None):
    """The hosts that run services."""
    return [h for h in (st or state())["hosts"] if h["name"] != "bastion"]


# ---------------------------------------------------------------- up
def check(init="plain"):
    """Says why hosts cannot be started here, or nothing."""
    if os.geteuid() != 0:
        return "needs root"
    needed = NEEDED + (["/lib/systemd/systemd", "dbus-daemon", "setpriv"] if init == "systemd" else [])
    if gone := missing_programs(needed):
        return f"not installed: {', '.join(gone)}"
    probe = (
        "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/r"
        " && mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
        " && ip link add br0 type bridge && ip link add p0 type veth peer name p1 && test -x /mnt/r/usr/sbin/sshd"
    )
    if init == "systemd":
        probe += " && mount -t cgroup2 c /mnt"
    done = run(
        *["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--propagation", "private"],
        *["sh", "-c", probe],
        check=False,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return f"no namespaces, overlay, virtual network or control groups here: {done.stderr.strip()}" if done.returncode else None


def up(count, wanted, inner=0, hold=False, generation="gen1", init="plain", release="", tools="own", shell="own", sshd="openssh", install=False):
    began = time.monotonic()
    if why := check(init):
        fail(why)
    if keeper():
        fail(f"already up in {DIR}; `fleet down` first")
    base = releases.build(release)
    for name in wanted:
        services.load(name)
        if not install and not services.available(name, base):
            fail(f"{services.load(name)['program']} is not installed")
        if init == "systemd" and "unit" not in services.load(name):
            fail(f"{name} has no unit")
    clean()
    DIR.mkdir(parents=True, exist_ok=True)
    pki.build()
    keys()
    hosts = plan_hosts(count, inner)
    st = {"hosts": hosts, "services": wanted, "init": init, "release": release, "tools": tools, "shell": shell, "sshd": sshd}
    save(st)
    start_keeper(st, hold)
    ready_to_boot = time.monotonic()

    if install:
        releases.install(keeper(), DIR / "store", base, sorted({p for s in wanted for p in services.load(s)["packages"]}))
    layer.build(store() / "layers/base", st)
    each(lambda h: prepare(h, st, generation), hosts)
    descriptions(st)
    for h in hosts:
        order("boot", h["name"])
    wait_ready(hosts)
    ended = time.monotonic()
    print(f"{len(hosts)} hosts up in {ended - began:.1f} s, {ended - ready_to_boot:.1f} s of it their own; FLEET_DIR={DIR}")


def plan_hosts(count, inner):
    """Names and addresses. `port` names the network cable's end in the keeper."""
    hosts = []

    def add(name, net, third, fourth, bridge=0):
        nics = [{
            "port": f"p{len(hosts)}",
            "bridge": f"br{bridge}",
            "device": "eth0",
            "mac": f"02:c6:{18 + bridge:02x}:00:{third:02x}:{fourth:02x}",
            "ip": f"198.{18 + bridge}.{third}.{fourth}",
        }]
        hosts.append({"name": name, "ip": nics[0]["ip"], "net": net, "nics": nics})

    for i in range(count):
        add(f"h{i + 1:03d}", "outer", i // 250, i % 250 + 2)
    if inner:
        add("bastion", "both", 254, 1)
        bastion = hosts[-1]
        bastion["nics"].append({
            **bastion["nics"][0],
            "port": "pin", "bridge": "br1", "device": "eth1", "mac": "02:c6:13:00:fe:01", "ip": "198.19.254.1",
        })
        for i in range(inner):
            add(f"i{i + 1:03d}", "inner", i // 250, i % 250 + 2, bridge=1)
    return hosts


def neighbours(host, hosts):
    """(device, ip, mac) of everybody that this host talks to."""
    if host["net"] == "inner":
        bastion = next(h for h in hosts if h["net"] == "both")["nics"][1]
        return [("eth0", bastion["ip"], bastion["mac"])]
    known = [("eth0", *CONTROLLER)]
    if host["net"] == "both":
        known += [("eth1", h["nics"][0]["ip"], h["nics"][0]["mac"]) for h in hosts if h["net"] == "inner"]
    return known


def start_keeper(st, hold):
    for name in ("keeper.ready", "orders"):
        (DIR / name).unlink(missing_ok=True)
    outer = [h["nics"][0] for h in st["hosts"] if h["net"] != "inner"]
    (DIR / "neighbours").write_text(
        "".join(f"neigh replace {n['ip']} lladdr {n['mac']} dev br0 nud permanent\n" for n in outer)
    )
    with open(DIR / "keeper.log", "w") as log:
        p = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net", "--propagation", "private"]
            + ["bash", str(HERE / "keeper.sh"), str(DIR)],
            stdin=sys.stdin if hold else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "FLEET_HOLD": "1" if hold else "", "FLEET_CGROUP": CGROUP if st["init"] == "systemd" else ""},
            start_new_session=True,
        )
    wait(lambda: (DIR / "keeper.ready").exists() or p.poll() is not None, 60, "the keeper")
    pids = children(p.pid)
    if not pids:
        fail(f"the keeper did not start:\n{(DIR / 'keeper.log').read_text()}")
    st["keeper"] = {"pid": pids[0], "start": start_time(pids[0])}
    save(st)


def prepare(h, st, generation):
    """Fills the host's own layer and says how to boot it."""
    home = store() / "hosts" / h["name"]
    tree = layer.Tree(home / "up", releases.root(st["release"]))
    tree.write("/etc/hostname", h["name"] + "\n")
    tree.write("/etc/hosts", f"127.0.0.1 localhost\n{h['ip']} {h['name']} {h['name']}.fleet.test\n")
    for kind in ("ed25519", "ecdsa"):
        key = tree.directory("/etc/ssh") / f"ssh_host_{kind}_key"
        quiet("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", h["name"], "-f", key)
        h.setdefault("host_keys", []).append(" ".join(key.with_suffix(".pub").read_text().split()[:2]))
    wanted = [] if h["net"] == "both" else st["services"]
    if generation != "gen1":
        for s in wanted:
            services.install_pair(home / "up", s, generation)
    nics = [f"{n['port']} {n['bridge']} {n['device']} {n['mac']} {n['ip']}/16" for n in h["nics"]]
    near = [f"neigh replace {ip} lladdr {mac} dev {dev} nud permanent" for dev, ip, mac in neighbours(h, st["hosts"])]
    lower = f"{DIR}/store/layers/base:{releases.root(st['release'])}"
    (home / "boot.env").write_text(
        f"HOST_LOWER={shlex.quote(lower)}\n"
        f"HOST_NICS=({shlex.join(nics)})\n"
        f"HOST_NEIGHBOURS=({shlex.join(near)})\n"
        f"HOST_SERVICES={shlex.quote(' '.join(wanted))}\n"
        f"HOST_INIT={st['init']}\n"
        f"HOST_SSHD={st['sshd']}\n"
    )


def keys():
    s = DIR / "ssh"
    s.mkdir(exist_ok=True, mode=0o700)
    if not (s / "id_ed25519").exists():
        quiet("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", s / "id_ed25519")
    (DIR / "home").mkdir(exist_ok=True)
    if not (DIR / "home/.ssh").is_symlink():
        (DIR / "home/.ssh").symlink_to(s)


def descriptions(st):
    """inventory.ini, ssh/config, ssh/known_hosts and the controller's hosts file."""
    save(st)
    s, hosts = DIR / "ssh", st["hosts"]
    (s / "known_hosts").write_text("".join(f"{h['name']},{h['ip']} {k}\n" for h in hosts for k in h["host_keys"]))
    jump = {"inner": "  ProxyJump bastion\n"}
    (s / "config").write_text(
        "".join(f"Host {h['name']} {h['ip']}\n  HostName {h['ip']}\n{jump.get(h['net'], '')}" for h in hosts)
        + f"Host *\n  User deploy\n  IdentityFile {s}/id_ed25519\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {s}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
    )
    (DIR / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{h['ip']} {h['name']}\n" for h in hosts))
    groups = {
        "web": [h for h in hosts if h["net"] == "outer"],
        "inner": [h for h in hosts if h["net"] == "inner"],
    }
    text = "".join(
        f"[{g}]\n" + "".join(f"{h['name']} ansible_host={h['ip']}\n" for h in hs) + "\n" for g, hs in groups.items() if hs
    )
    (DIR / "inventory.ini").write_text(
        f"{text}[all:vars]\nansible_user=deploy\nansible_ssh_private_key_file={s}/id_ed25519\nansible_become=true\n"
        f"ansible_ssh_common_args=-F {s}/config\n"
    )


def order(*words):
    with open(DIR / "orders", "w") as fifo:
        fifo.write(" ".join(words) + "\n")


def wait(condition, seconds, what, pause=0.02):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f"{what} not ready after {seconds} s; see {DIR}/keeper.log and {DIR}/log")
        time.sleep(pause)


def wait_ready(hosts, seconds=120, until="services"):
    """sshd, and every service of the hosts, listen on all their ports."""
    own = [int(p) for s in state()["services"] for p in services.load(s)["ports"]]
    left = [(h, [22] if h["net"] == "both" or until == "sshd" else [22, *own]) for h in hosts]

    def all_ready():
        left[:] = [(h, ports) for h, ports in left if not listens(h, ports)]
        return not left

    # The kernel walks through all of its connections for each look: more of them would slow down what is waited for.
    wait(all_ready, seconds, ", ".join(h["name"] for h in hosts), pause=0.3)


def listens(h, ports):
    p = process(h)
    try:
        tables = "".join(Path(f"/proc/{p}/net/{t}").read_text() for t in ("tcp", "tcp6"))
    except OSError:
        return False
    return all(re.search(rf":{port:04X} 0+:0000 0A", tables) for port in ports)


# ---------------------------------------------------------------- off, on, down
def off(host):
    """Ends all processes of a host at once, as a power cut does. Its files stay."""
    p = process_or_fail(host)
    os.kill(p, signal.SIGKILL)
    wait(lambda: not Path(f"/proc/{p}").exists(), 60, f"end of {host['name']}")


def on(host, until="services"):
    """Boots a host that is off, on the files that it had, and waits until its services listen, or sshd alone."""
    if process(host):
        fail(f"{host['name']} is on")
    order("boot", host["name"])
    wait_ready([host], until=until)


def down():
    k = keeper()
    if k and state()["init"] == "systemd":
        order("quit")
        wait(lambda: start_time(k) is None, 60, "end of the fleet")
    elif k:
        os.kill(k, signal.SIGKILL)
        wait(lambda: start_time(k) is None, 60, "end of the fleet")
    clean()


def clean():
    """Removes what a fleet leaves on disk; certificates and keys stay for the next one."""
    for name in ("state.json", "keeper.ready", "orders", "neighbours", "hosts", "inventory.ini"):
        (DIR / name).unlink(missing_ok=True)
    for name in ("store", "log"):
        shutil.rmtree(DIR / name, ignore_errors=True)
