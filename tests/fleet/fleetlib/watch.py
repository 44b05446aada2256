"""What a host holds and serves, observed from outside; and the network between."""

import hashlib
import os
import re
import stat
import subprocess
import time
from pathlib import Path

from . import hosts, pki, services
from .place import SERVER_NAME, each, leaf_digest, run


def served(host, service, server_name=SERVER_NAME):
    """(generation or `other`, leaf SHA-256) that SERVICE[:PORT] shows to openssl now; (`none`, why) otherwise."""
    port, starttls = services.port(service)
    # The controller has no way to a host behind the bastion; the bastion has.
    where = hosts.find("bastion") if host["net"] == "inner" else None
    pid = hosts.process_or_fail(where) if where else hosts.keeper_or_fail()
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "openssl", "s_client", "-connect", f"{host['ip']}:{port}"]
    # Nothing is verified: reading the machine's roots would be most of the work.
    argv += ["-no-CAfile", "-no-CApath", "-no-CAstore"]
    argv += ["-servername", server_name] + (["-starttls", starttls] if starttls else [])
    argv += ["-xmpphost", server_name] if starttls == "xmpp" else []
    try:
        done = run(*argv, input="Q\n", text=True, errors="replace", capture_output=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return "none", "no answer in 20 s"
    pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", done.stdout, re.S)
    if not pem:
        return "none", (done.stderr.strip().splitlines() or ["no certificate"])[0]
    digest = leaf_digest(pem[0])
    return pki.generations().get(digest, "other"), digest


def expect(chosen, service, wanted=None, within=0.0):
    """Prints HOST SERVICE GENERATION SHA256 for each host; true when each serves what is wanted."""

    def observe(h):
        end = time.monotonic() + within
        while True:
            seen = served(h, service)
            if wanted in seen or (wanted is None and seen[0] != "none") or time.monotonic() >= end:
                return seen
            time.sleep(0.1)

    well = True
    for h, seen in zip(chosen, each(observe, chosen)):
        print(h["name"], service, *seen)
        well &= seen[0] != "none" and (wanted is None or wanted in seen)
    return well


def snapshot(host, paths, times=False):
    """One line per path: type, mode, owner, size and digest or link target, extended attributes; sorted."""
    root = f"/proc/{hosts.process_or_fail(host)}/root"
    lines = []

    def visit(path):
        file = Path(root + path)
        try:
            lines.append(look(path, file))
            names = sorted(os.listdir(file)) if file.is_dir() and not file.is_symlink() else []
        except (FileNotFoundError, NotADirectoryError):
            # What goes while it is looked at is not there: tests look while hosts go back.
            return
        for name in names:
            visit(path.rstrip("/") + "/" + name)

    def look(path, file):
        st = file.lstat()
        kind = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}.get(stat.S_IFMT(st.st_mode), "special")
        words = [path, kind, f"{stat.S_IMODE(st.st_mode):04o}", f"{st.st_uid}:{st.st_gid}"]
        if kind == "file":
            words += [str(st.st_size), hashlib.sha256(file.read_bytes()).hexdigest()]
        elif kind == "link":
            words += ["->", os.readlink(file)]
        if times:
            words += [f"mtime={st.st_mtime_ns}", f"ctime={st.st_ctime_ns}"]
        for name in sorted(os.listxattr(file, follow_symlinks=False)):
            words.append(f"{name}={os.getxattr(file, name, follow_symlinks=False).hex()}")
        return " ".join(words)

    for path in paths or sorted(services.load(s)["tls"]["directory"] for s in hosts.state()["services"]):
        visit(path)
    return lines


def reset(generation="gen1", within=None):
    """Puts a generation everywhere from outside and reloads; with a time, whether every service serves it by then."""
    st = hosts.state()

    def one(h):
        for s in st["services"]:
            services.install_pair(f"/proc/{hosts.process_or_fail(h)}/root", s, generation)
            hosts.inside(h, "sh", f"/opt/fleet/services/{s}/reload", capture_output=True, check=False)

    each(one, hosts.plain(st))
    return within is None or all([expect(hosts.plain(st), s, generation, within) for s in st["services"]])


def link(chosen, flowing):
    """Lets the bridge drop or forward everything to and from hosts. Nobody is told."""
    ports = [nic["port"] for host in chosen for nic in host["nics"]]
    orders = "".join(f"link set dev {port} state {'forwarding' if flowing else 'disabled'}\n" for port in ports)
    run(*["nsenter", f"--net=/proc/{hosts.keeper_or_fail()}/ns/net", "bridge", "-batch", "-"], input=orders, text=True)
