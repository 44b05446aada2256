#!/usr/bin/env python3
"""A FAKE of a Windows machine behind OpenSSH. It is no Windows, and proves nothing about one.

It knows certroll's programs by the digests of their texts and does to a model, in a state file, what the reference says that
Windows does. What the model serves is served for real: over TLS, with real certificates.

    fake.py serve DIR    the machine: TLS, the task scheduler, and the default shell with PowerShell in it, for the sessions
                         that login.py hands over
    fake.py reboot DIR   the startup trigger

Knobs are in DIR/knobs.json; nothing but the tests writes it.
"""
import base64
import contextlib
import fcntl
import functools
import hashlib
import json
import login
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

NETWORK_SERVICE = "S-1-5-20"
DEFAULT_READERS = ["S-1-5-18", "S-1-5-32-544"]
APP = "{4dc3e181-e14b-4a21-b022-59fc669b0914}"


class Refused(Exception):
    """kind|why"""


class Machine:
    def __init__(self, place):
        self.place = place

    def path(self, name):
        return os.path.join(self.place, name)

    def knob(self, name, default=None):
        with open(self.path("knobs.json"), encoding="utf-8") as file:
            return json.load(file).get(name, default)

    def once(self, name):
        """The knob's value, and no second time until it is set anew."""
        value = self.knob(name)
        mark = self.path(f"used-{name}-{value}")
        if value is None or os.path.exists(mark):
            return None
        open(mark, "w").close()
        return value

    @contextlib.contextmanager
    def alone(self):
        """The mutex."""
        with open(self.path("mutex"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.load()
            yield self.state
            self.save()

    def load(self):
        with open(self.path("state.json"), encoding="utf-8") as file:
            self.state = json.load(file)

    def save(self):
        following = self.path(f"state.{os.getpid()}.{threading.get_ident()}")
        with open(following, "w", encoding="utf-8") as file:
            json.dump(self.state, file, indent=1)
        os.replace(following, self.path("state.json"))

    def openssl(self, *arguments, **more):
        done = subprocess.run(["openssl", *arguments], capture_output=True, **more)
        if done.returncode:
            raise Refused("failed|" + done.stderr.decode(errors="replace")[:200])
        return done.stdout

    def add(self, store, leaf_pem, key_pem, readers):
        der = ssl.PEM_cert_to_DER_cert(leaf_pem)
        thumbprint = hashlib.sha1(der).hexdigest().upper()
        self.state["stores"].setdefault(store, {})[thumbprint] = {
            "pem": leaf_pem, "key": key_pem, "readers": readers,
        }
        return thumbprint

    def find(self, thumbprint, store):
        return self.state["stores"].get(store, {}).get((thumbprint or "").upper())

    def readers(self, certificate):
        return sorted(certificate["readers"]) if certificate and certificate["key"] else []

    def binding(self, use):
        found = [b for b in self.state["bindings"] if b["site"] == use["site"] and b["binding"] == use["binding"]]
        if len(found) != 1:
            raise Refused(f"use|{len(found)}")
        return found[0]

    def use(self, use):
        kind = use["kind"]
        if kind == "iis":
            binding = self.binding(use)
            rest = sorted(f"{k}={v}" for k, v in binding["attributes"].items())
            return {"thumbprint": binding["thumbprint"], "store": binding["store"], "flags": binding["flags"],
                    "rest": " ".join([*rest, f"sslFlags={binding['flags']}"])}
        if self.state[kind] is None:
            raise Refused("use|0")
        return {"thumbprint": self.state[kind]["thumbprint"], "store": "My", "flags": 0,
                "rest": self.state[kind].get("hostname", "")}

    def switch(self, use, thumbprint, store, hostname):
        if self.knob("switch_fails") == thumbprint or self.knob("switch_fails") == "all":
            raise Refused("the access is denied")
        if self.knob("switch_lies"):
            return
        kind = use["kind"]
        if kind == "iis":
            binding = self.binding(use)
            binding["thumbprint"], binding["store"] = thumbprint, store
            ip, port, host = binding["binding"].rsplit(":", 2)
            at = f"{host}:{port}" if binding["flags"] & 1 else f"{'0.0.0.0' if ip == '*' else ip}:{port}"
            self.state["http"][at] = thumbprint.upper()
        elif kind == "rdp":
            self.state["rdp"]["thumbprint"] = thumbprint
        else:
            if not hostname:
                raise Refused("the Hostname is missing")
            self.state["winrm"].update(thumbprint=thumbprint, hostname=hostname)

    def http(self):
        """As `netsh http show sslcert` prints it."""
        words = ("IP:port", "Hostname:port", "Certificate Hash", "Application ID", "Certificate Store Name")
        if self.knob("german"):
            words = ("IP:Port", "Hostname:Port", "Zertifikathash", "Anwendungs-ID", "Zertifikatspeichername")
        lines = ["", "SSL:", "-" * 25, ""]
        for at, thumbprint in self.state["http"].items():
            place = words[0] if re.match(r"[\d.]+:\d+$|\[", at) else words[1]
            rows = [(place, at), (words[2], thumbprint.lower()), (words[3], APP), (words[4], "My")]
            lines += [f"    {name:<29}: {value} " for name, value in rows] + [""]
        return "\r\n".join(lines)

    def observe(self, request, _):
        used = missing = certificate = None
        try:
            used = self.use(request["use"])
            certificate = self.find(used["thumbprint"], used["store"] or "My")
        except Refused as why:
            missing = str(why)
        new = self.find(request["new"], request["store"])
        leaf = ""
        if certificate:
            leaf = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate["pem"])).decode()
        others = [{"binding": b["binding"], "flags": b["flags"],
                   "owner": f"/system.applicationHost/sites/site[@name='{b['site']}' and @id='1']/bindings"}
                  for b in self.state["bindings"]]
        return {
            "user": "WIN\\dora", "build": 14393 if self.knob("old") else 20348, "shell": "5.1.20348.1",
            "use": used, "missing": missing, "leaf": leaf, "key": bool(certificate and certificate["key"]),
            "readers": self.readers(certificate), "new": bool(new), "newKey": bool(new and new["key"]),
            "chain": [one for one in request["chain"] if self.find(one, "CA")],
            "others": others if request["use"]["kind"] == "iis" else [],
            "http": self.http(), "journal": self.state["journal"], "clock": int(time.time()),
        }

    def begin(self, request, pfx):
        journal = self.state["journal"]
        if journal and journal["id"] == request["id"] and journal["state"] == "staged":
            return {"readers": self.readers(self.find(request["new"], request["store"])), "made": journal["made"]["leaf"]}
        if journal:
            raise Refused("held|" + journal["by"])
        old = self.use(request["use"])
        if old["thumbprint"] != request["old"]["thumbprint"] or old["rest"] != request["old"]["rest"]:
            raise Refused("stale|")
        there = self.find(request["new"], request["store"])
        chain = [one for one in request["chain"] if not self.find(one, "CA")]
        self.state["journal"] = journal = {
            "id": request["id"], "by": request["by"], "state": "staging", "use": request["use"], "old": old,
            "new": {"thumbprint": request["new"], "store": request["store"]},
            "made": {"leaf": not there, "chain": chain}, "until": int(time.time()) + request["lease"],
        }
        self.state["undo"] = hashlib.sha256(request["undo"].encode()).hexdigest()
        self.state["task"] = time.time() + request["lease"]
        try:
            for text in request["issuers"]:
                pem = ssl.DER_cert_to_PEM_cert(base64.b64decode(text))
                if hashlib.sha1(base64.b64decode(text)).hexdigest().upper() in chain:
                    self.add("CA", pem, "", [])
            if not there:
                self.take(pfx, request)
            new = self.find(request["new"], request["store"])
            if not new or not new["key"]:
                raise Refused("pfx|the certificate has no private key after its import")
            before = self.find(old["thumbprint"], old["store"] or "My")
            if not self.knob("acl_lost"):
                new["readers"] = sorted({*new["readers"], *self.readers(before)})
        except Refused:
            self.undo_change(journal)
            raise
        journal["state"] = "staged"
        return {"readers": self.readers(new), "made": not there}

    def take(self, pfx, request):
        secret = {"env": {**os.environ, "PW": request["password"]}, "input": pfx}

        def read(*what):
            text = self.openssl("pkcs12", "-passin", "env:PW", *what, **secret).decode()
            return text[text.index("-----BEGIN"):]

        about = subprocess.run(["openssl", "pkcs12", "-passin", "env:PW", "-info", "-noout"], capture_output=True, **secret).stderr.decode()
        old = self.knob("old")
        if old and "PBES2" in about:
            if old == "keyless":
                self.add(request["store"], read("-nokeys", "-clcerts"), "", [])
                raise Refused("pfx|its private key cannot be used: Keyset does not exist")
            raise Refused("pfx|The specified network password is not correct.")
        if old == "never":
            raise Refused("pfx|The specified network password is not correct.")
        leaf, key = read("-nokeys", "-clcerts"), read("-nocerts", "-nodes")
        if self.add(request["store"], leaf, key, list(DEFAULT_READERS)) != request["new"]:
            raise Refused("failed|another certificate came out of the PFX")

    def commit(self, request, _):
        journal = self.state["journal"]
        if not journal or journal["id"] != request["id"]:
            raise Refused("gone|")
        now = self.use(journal["use"])
        if now["thumbprint"] == journal["new"]["thumbprint"]:
            journal["state"] = "switched"
            return {"done": True}
        if now["thumbprint"] != journal["old"]["thumbprint"] or now["rest"] != journal["old"]["rest"]:
            raise Refused("stale|")
        within = self.knob("within", request["within"])
        self.state["task"] = time.time() + within
        journal.update(state="switching", until=int(time.time()) + within)
        try:
            new = journal["new"]
            self.switch(journal["use"], new["thumbprint"], new["store"], request["hostname"])
            if self.use(journal["use"])["thumbprint"] != new["thumbprint"]:
                raise Refused("failed|it was told to use the new certificate, and does not name it")
        except Refused as why:
            self.undo_change(journal)
            raise Refused("undone|" + str(why).split("|", 1)[-1]) from why
        journal["state"] = "switched"
        return {"done": True}

    def confirm(self, request, _):
        journal = self.state["journal"]
        if not journal or journal["id"] != request["id"]:
            raise Refused("gone|")
        if self.use(journal["use"])["thumbprint"] != journal["new"]["thumbprint"]:
            raise Refused("stale|")
        self.clear()
        return {"done": True}

    def undo(self, request, _):
        journal = self.state["journal"]
        if not journal:
            return {"words": "nothing"}
        if request["id"] and journal["id"] != request["id"]:
            raise Refused("held|" + journal["by"])
        if not request["id"] and journal["until"] > time.time():
            raise Refused("held|" + journal["by"])
        return self.undo_change(journal)

    def undo_change(self, journal):
        new, old, use = journal["new"], journal["old"], journal["use"]
        now = self.use(use)["thumbprint"]
        if now == new["thumbprint"]:
            self.switch(use, old["thumbprint"], old["store"], old["rest"])
            words = "back"
        else:
            words = "never" if now == old["thumbprint"] else "other"
        used = new["thumbprint"] in self.state["http"].values()
        if journal["made"]["leaf"] and not used:
            self.state["stores"].get(new["store"], {}).pop(new["thumbprint"], None)
        for one in journal["made"]["chain"] if not used else []:
            self.state["stores"].get("CA", {}).pop(one, None)
        self.clear()
        return {"words": words, "left": journal["made"]["leaf"] and used, "by": journal["by"], "id": journal["id"]}

    def clear(self):
        self.state.update(journal=None, task=None, undo=None)

    def run_task(self):
        """The undo that was armed, as SYSTEM."""
        if self.state["task"] is None:
            return
        if self.state["undo"] != digest(program(self.place, "undo")):
            raise SystemExit("the armed program is another")
        if self.state["journal"]:
            self.undo_change(self.state["journal"])
        self.clear()


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def read_text(place, name):
    with open(os.path.join(place, "ps1", name + ".ps1"), encoding="utf-8") as file:
        return file.read()


def program(place, name):
    return read_text(place, "common") + read_text(place, name)


PROGRAMS = ("observe", "begin", "commit", "confirm", "undo")


def shell(place, line, connection):
    machine = Machine(place)
    special = '&|<>^%"()' if machine.knob("shell", "cmd") == "cmd" else "&|<>$`;(){}\"'@"
    words = line[: machine.knob("longest", 2544)].split(" ")
    head = ["powershell", "-NoProfile", "-NonInteractive", "-EncodedCommand"]
    if any(c in line for c in special) or words[:-1] != head or machine.knob("no_powershell"):
        sys.stderr.write(f"'{words[0]}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n")
        sys.exit(1)
    try:
        bootstrap = base64.b64decode(words[-1], validate=True).decode("utf-16-le")
    except ValueError:
        sys.exit("Cannot process the command because the value specified with -EncodedCommand is not properly encoded.")
    if digest(bootstrap) != digest(read_text(place, "bootstrap")):
        sys.exit("an unknown program on the command line")

    parts, text = [], b""
    for raw in sys.stdin.buffer:
        if len(raw) > 1002:
            sys.exit("a line of input is too long for a console")
        raw = raw.rstrip(b"\r\n")
        if not raw.startswith(b"."):
            text += raw
            continue
        part, text = base64.b64decode(text), b""
        if raw[1:].decode() != "-".join(f"{byte:02X}" for byte in hashlib.sha256(part).digest()):
            sys.exit(9)
        parts.append(part)
        if len(parts) == 3:
            break
    if len(parts) != 3:
        sys.exit(9)
    name = next((one for one in PROGRAMS if digest(program(place, one)) == hashlib.sha256(parts[0]).hexdigest()), None)
    if name is None:
        sys.exit("an unknown program")
    request = json.loads(parts[1])
    run(machine, name, request, parts[2], connection)


def run(machine, name, request, pfx, connection):
    knob = machine.once("cut")
    when, at = knob.split() if knob else (None, None)
    if at == name and when in ("before", "during"):
        os.kill(connection, signal.SIGKILL)
        if when == "before":
            sys.exit()
        time.sleep(0.5)  # A lost connection kills nothing: the program goes on.
    if machine.knob("user"):
        answer = {"error": "role", "why": "WIN\\nobody"}
    else:
        with machine.alone() as state:
            state["log"].append(name)
            try:
                answer = {"ok": getattr(machine, name)(request, pfx)}
            except Refused as why:
                kind, _, words = str(why).rpartition("|") if "|" not in str(why) else str(why).partition("|")
                answer = {"error": kind or "failed", "why": words}
    if at == name and when == "after":
        os.kill(connection, signal.SIGKILL)
        sys.exit()
    if machine.knob("garbage") == name:
        sys.stdout.write("x" * (3 << 20))
        sys.exit()
    text = base64.b64encode(json.dumps(answer).encode()).decode()
    said = f"@certroll1 {request['nonce']} {text} ."
    if machine.knob("garbage") == "cut " + name:
        said = said[:-9]
    if machine.knob("noise"):
        sys.stderr.write('#< CLIXML\r\n<Objs Version="1.1.0.1"><Obj S="progress"/></Objs>')
        said = "\ufeff" + said + "\r\n#< CLIXML\r\n<Objs></Objs>"
    sys.stdout.write(said + "\r\n")


class Server:
    """What the model says, served: IIS behind http.sys, and the listener of WinRM."""

    def __init__(self, machine, kind, port):
        self.machine, self.kind = machine, kind
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def chosen(self, name, port):
        state = self.machine.state
        if self.kind == "winrm":
            return (state["winrm"] or {}).get("thumbprint")
        http = state["http"]
        return http.get(f"127.0.0.1:{port}") or http.get(f"{name}:{port}") or http.get(f"0.0.0.0:{port}")

    def serve(self, client):
        client.settimeout(20)
        port = client.getsockname()[1]
        machine = Machine(self.machine.place)
        machine.load()
        self.machine = machine

        def pick(connection, name, _):
            thumbprint = self.chosen(name, port)
            for store in ("My", "WebHosting"):
                found = machine.find(thumbprint, store)
                if found and found["key"] and NETWORK_SERVICE in found["readers"]:
                    its = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    load(machine, its, thumbprint, found)
                    connection.context = its
                    return None
            # Whoever serves may not open the key.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = pick
        first = machine.state["stores"]["My"][machine.state["own"]]
        load(machine, context, machine.state["own"], first)
        try:
            with context.wrap_socket(client, server_side=True) as wrapped:
                wrapped.recv(1)
        except OSError:
            client.close()


def load(machine, context, thumbprint, found):
    """With what the store CA has."""
    chain = "".join(one["pem"] for one in machine.state["stores"].get("CA", {}).values())
    path = machine.path(f"{thumbprint}.{threading.get_ident()}.pem")
    with open(path, "w", encoding="utf-8") as file:
        file.write(found["pem"] + chain + found["key"])
    context.load_cert_chain(path)
    os.unlink(path)


def serve(place):
    machine = Machine(place)
    login.take(machine.path("sessions"), functools.partial(shell, place))
    with open(machine.path("setup.json"), encoding="utf-8") as file:
        setup = json.load(file)
    port, name = setup["port"], setup["name"]
    machine.state = {
        "stores": {"My": {}, "CA": {}}, "http": {}, "journal": None, "task": None, "undo": None, "log": [],
        "rdp": {}, "winrm": {"hostname": name},
        "bindings": [
            {"site": "Shop", "binding": f"*:{port}:{name}", "flags": 1 + 64, "store": "My",
             "attributes": {"protocol": "https", "bindingInformation": f"*:{port}:{name}"}},
            {"site": "Other", "binding": f"*:{port}:other.win.test", "flags": 1, "store": "My", "attributes": {}},
            {"site": "Plain", "binding": f"*:{setup['plain']}:", "flags": 0, "store": "My", "attributes": {}},
            {"site": "Beside", "binding": f"*:{setup['plain']}:b.win.test", "flags": 0, "store": "My", "attributes": {}},
        ],
    }
    for name in ("other", "old"):
        pair = [open(machine.path(f"{name}.{ending}"), encoding="utf-8").read() for ending in ("leaf", "key")]
        machine.state[name] = thumbprint = machine.add("My", *pair, [*DEFAULT_READERS, NETWORK_SERVICE])
    machine.add("CA", open(machine.path("issuer.pem"), encoding="utf-8").read(), "", [])
    machine.state["own"] = machine.state["rdp"]["thumbprint"] = machine.state["winrm"]["thumbprint"] = thumbprint
    for binding in machine.state["bindings"]:
        binding["thumbprint"] = thumbprint
        machine.switch({"kind": "iis", **binding}, thumbprint, "My", "")
    machine.save()
    open(machine.path("mutex"), "a").close()
    for kind, at in (("iis", port), ("iis", setup["plain"]), ("winrm", setup["winrm"])):
        Server(Machine(place), kind, at)
    while True:
        time.sleep(0.2)
        machine.load()
        if is_due(machine.state) and not machine.knob("no_scheduler"):
            with machine.alone() as state:
                if is_due(state):
                    machine.run_task()


def is_due(state):
    return state["task"] is not None and state["task"] <= time.time()


def reboot(place):
    machine = Machine(place)
    with machine.alone():
        machine.run_task()


if __name__ == "__main__":
    os.umask(0)
    {"serve": serve, "reboot": reboot}[sys.argv[1]](sys.argv[2])
