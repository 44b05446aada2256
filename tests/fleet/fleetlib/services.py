"""The services of a host. Each is a directory services/NAME: service.json, start, reload, root/.

service.json: `program` that must be installed; `packages` of Debian's that it comes with; `unit` that systemd starts it by;
`ports` port → STARTTLS protocol or null; `tls` directory, layout (`pair` = fullchain.pem and privkey.pem, or `files`; `joined` and
`joined-key-first` = site.pem; `pkcs12` = a keystore, whose password is `dest.password`) and, where the service does not start as root, `group` of the key; `replaces`: directories of the
machine that a host must not inherit; `newer`: from this version of a package on, a further directory is laid over as well; `patience`:
how many times longer than others it takes to start, for tests/measure; `apart`: only hosts that name it run it, it is none of `all`. `root/` is laid over the machine's files, `start` (without systemd) and `reload` are
run by sh on the host. `check`, `tried/` and, where no handshake from outside shows a certificate, `look` are what tests/measure asks it besides.
"""

import json
import os
from pathlib import Path

from . import releases
from .place import HERE, fail, run
from .pki import PKI


def known():
    return sorted(p.parent.name for p in (HERE / "services").glob("*/service.json"))


def load(name):
    file = HERE / "services" / name / "service.json"
    if not file.exists():
        fail(f"unknown service {name}; there are {', '.join(known())}")
    return json.loads(file.read_text())


def available(name, base=Path("/")):
    return releases.which(base, load(name)["program"]) is not None or carried(name) is not None


def carried(name):
    """The service's program in $FLEET_BINS: it is not installed on the machine and gets copied to the hosts."""
    found = Path(os.environ.get("FLEET_BINS", "/nonexistent")) / load(name)["program"]
    return found.resolve() if found.exists() else None


def port(service):
    """SERVICE or SERVICE:PORT → (port, STARTTLS protocol or None)."""
    name, _, number = service.partition(":")
    ports = load(name)["ports"]
    number = number or next(iter(ports))
    if number not in ports:
        fail(f"{name} has no port {number}; it has {', '.join(ports)}")
    return int(number), ports[number]


def group_number(root, name):
    """The id of a group below `root`, or else on the fleet's hosts as their release has it."""
    own = Path(f"{root}/etc/group")
    for line in (own if own.exists() else releases.of_fleet() / "etc/group").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split(":")[2])
    fail(f"no group {name}")


def keystore(source, password):
    """A pair as PKCS#12; what openssl cannot make one of stays as it is."""
    argv = ["openssl", "pkcs12", "-export", "-in", source / "fullchain.pem", "-inkey", source / "privkey.pem"]
    done = run(*argv, "-passin", "pass:", "-passout", f"pass:{password}", check=False, capture_output=True)
    return done.stdout if not done.returncode else (source / "fullchain.pem").read_bytes() + (source / "privkey.pem").read_bytes()


def install_pair(root, name, generation):
    """Puts a generation's files below `root`, each by rename (some services watch for renames only)."""
    tls = load(name)["tls"]
    source = PKI / generation
    if not source.is_dir():
        fail(f"unknown generation {generation}; there are {', '.join(sorted(p.name for p in PKI.iterdir() if p.is_dir()))}")
    chain, key = (source / "fullchain.pem").read_text(), (source / "privkey.pem").read_text()
    joined = {"joined": chain + key, "joined-key-first": key + chain}
    if tls["layout"] == "pkcs12":
        files = {tls["files"][0]: (keystore(source, load(name)["dest"]["password"]), True)}
    elif text := joined.get(tls["layout"]):
        files = {tls.get("files", ["site.pem"])[0]: (text, True)}
    else:
        files = dict(zip(tls.get("files", ["fullchain.pem", "privkey.pem"]), [(chain, False), (key, True)]))
    directory = Path(f"{root}{tls['directory']}")
    directory.mkdir(parents=True, exist_ok=True)
    for file, (text, private) in files.items():
        new = directory / f".{file}.new"
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        if private and "group" in tls:
            os.chown(new, 0, group_number(root, tls["group"]))
        new.chmod(0o644 if not private else 0o640 if "group" in tls else 0o600)
        new.rename(directory / file)
