"""A FAKE of BIG-IP's tmsh, written from documents and public programs: it was compared with no real device.

One process per device does what every call of `tmsh` asks for (fake_tmsh.bash), one after another.

It speaks what docs/bigip.md says was read, and answers anything else with a syntax error. Errors come with exit code 0.
Its state lies in $HOME/bigip/state.json: what runs, what is saved, what the peer has, and knobs that a test turns.
Where a source gives no number for a message, the number here is invented: nothing may depend on it.
"""
import fcntl
import functools
import json
import os
import re
import socket
import subprocess
import traceback

HOME = os.path.join(os.path.expanduser("~"), "bigip")
STATE = os.path.join(HOME, "state.json")
PORT = os.path.join(HOME, "port")


class Refused(Exception):
    pass


@functools.cache
def openssl(content, *arguments):
    return subprocess.run(["openssl", *arguments], input=content, capture_output=True, check=False)


def read(path):
    """Its bytes, none where it is not there."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def full(name, folder):
    return name if name.startswith("/") or name == "none" else f"{folder}/{name}"


def public_key(kind, path):
    tool = ["x509", "-noout", "-pubkey"] if kind == "cert" else ["pkey", "-pubout"]
    done = openssl(read(path), *tool)
    if done.returncode:
        raise Refused(f"01070711:3: unable to validate {kind} file ({path})")
    return done.stdout


def fingerprint(path):
    done = openssl(read(path), "x509", "-noout", "-fingerprint", "-sha256")
    return done.stdout.decode().strip().split("=")[1]


def braces(words):
    """Words in braces as a mapping of names to mappings or words."""
    found, words = {}, list(words)
    while words:
        name = words.pop(0)
        if words and words[0] == "{":
            depth, inner = 1, []
            words.pop(0)
            while words:
                word = words.pop(0)
                depth += {"{": 1, "}": -1}.get(word, 0)
                if depth == 0:
                    break
                inner.append(word)
            if depth:
                raise Refused("Syntax Error: braces do not match")
            found[name] = braces(inner)
        else:
            found[name] = words.pop(0) if words else ""
    return found


class Device:
    def __init__(self, state):
        self.state = state
        self.running = state["running"]
        self.knobs = state.setdefault("knobs", {})
        self.folder = "/Common"

    def check(self, profile, entries):
        for entry in entries.values():
            for kind in ("cert", "key"):
                if entry[kind] not in self.running[kind]:
                    what = "certificate" if kind == "cert" else "key"
                    raise Refused(f"01070277:3: The requested {what} ({entry[kind]}) was not found.")
            chain = entry.get("chain", "none")
            if chain != "none" and chain not in self.running["cert"]:
                raise Refused(f"01070277:3: The requested certificate ({chain}) was not found.")
            pair = [public_key(kind, self.running[kind][entry[kind]]) for kind in ("cert", "key")]
            if pair[0] != pair[1]:
                raise Refused(f"01070317:3: profile {profile}'s key and certificate do not match")

    def show(self, what):
        shown = {
            "sys mcp-state field-fmt": lambda: f"sys mcp-state {{\n    last-load full-config-load-succeed\n    phase {self.knobs.get('phase', 'running')}\n}}",
            "cm failover-status": lambda: self.status("Failover", self.knobs.get("failover", "ACTIVE")),
            "cm sync-status": lambda: self.status("Sync", self.knobs.get("sync", "Standalone")),
        }
        if what not in shown:
            raise Refused(f"Syntax Error: unexpected argument \"{what}\"")
        return shown[what]()

    @staticmethod
    def status(what, value):
        line = "-" * 45
        return f"\n{line}\nCM::{what} Status\n{line}\nColor    green\nStatus   {value}\nSummary  \nDetails  \n"

    def short(self, name):
        """Objects of the current folder are listed without it."""
        return name[len(self.folder) + 1:] if name.startswith(self.folder + "/") else name

    def list_profile(self, name):
        name = full(name, self.folder)
        profile = self.running["profile"].get(name)
        if profile is None:
            raise Refused(f"01020036:3: The requested profile ({name}) was not found.")
        lines = [f"ltm profile client-ssl {self.short(name)} {{", "    cert-key-chain {"]
        for entry, names in profile["entries"].items():
            lines.append(f"        {entry} {{")
            for key in ("cert", "chain", "key"):
                if names.get(key, "none") != "none":
                    lines.append(f"            {key} {self.short(names[key])}")
            if names.get("passphrase"):
                lines.append("            passphrase $M$ab$cd")
            lines.append("        }")
        inherits = "true" if profile.get("inherits") else "false"
        return "\n".join([*lines, "    }", f"    inherit-certkeychain {inherits}", "}"])

    def list_object(self, kind, name, hidden):
        name = full(name, self.folder)
        path = self.running[kind].get(name)
        if path is None:
            raise Refused(f"01020036:3: The requested {kind} file ({name}) was not found.")
        lines = [f"sys file ssl-{kind} {self.short(name)} {{"]
        if hidden:
            lines.append(f"    cache-path {path}")
        if kind == "cert":
            rsa = b"rsaEncryption" in openssl(read(path), "x509", "-noout", "-text").stdout
            lines += [f"    fingerprint SHA256/{fingerprint(path)}", f"    key-type {'rsa' if rsa else 'ec'}-public"]
        return "\n".join([*lines, "}"])

    def install(self, kind, name, path):
        if not os.path.exists(path):
            raise Refused(f"Unable to copy ({path}) into tempfile (/var/system/tmp/tmsh/x): 01070711:3: no file")
        public_key(kind, path)
        name = full(name, self.folder)
        if self.knobs.get("suffix"):
            name += ".key" if kind == "key" else ".crt"
        number = self.state["files"] = self.state.get("files", 0) + 1
        place = os.path.join(HOME, f"filestore_{number}")
        with open(path, "rb") as given, open(place, "wb") as kept:
            kept.write(given.read())
        self.running[kind][name] = place
        return ""

    def change_profile(self, name, words, create):
        name = full(name, self.folder)
        given = braces(words)
        if create:
            entries = {}
            changed = given["cert-key-chain"]["replace-all-with"] if isinstance(given.get("cert-key-chain"), dict) else given.get("replace-all-with")
        else:
            if name not in self.running["profile"]:
                raise Refused(f"01020036:3: The requested profile ({name}) was not found.")
            entries = dict(self.running["profile"][name]["entries"])
            changed = given.get("modify")
        if not isinstance(changed, dict):
            raise Refused("Syntax Error: cert-key-chain")
        for entry, names in changed.items():
            if not create and entry not in entries:
                raise Refused(f"01020036:3: The requested cert-key-chain entry ({entry}) was not found.")
            names = {key: full(value, self.folder) for key, value in names.items()}
            entries[entry] = {**entries.get(entry, {}), **names}
        if not create and self.knobs.pop("refuse_modify", None):
            raise Refused("010717e3:3: Client SSL profile must have RSA certificate/key pair.")
        if create and self.knobs.pop("refuse_create", None):
            raise Refused(f"01070317:3: profile {name}'s key and certificate do not match")
        self.check(name, entries)
        self.running["profile"].setdefault(name, {})["entries"] = entries
        self.running["profile"][name].setdefault("inherits", False)
        return ""

    def delete(self, kind, name):
        name = full(name, self.folder)
        if name not in self.running[kind]:
            raise Refused(f"01020036:3: The requested {kind} ({name}) was not found.")
        used = [n for p in self.running["profile"].values() for e in p["entries"].values() for n in e.values()]
        if kind != "profile" and (name in used or name in self.knobs.get("in_use", [])):
            raise Refused(f"01071349:3: File object by name ({name}) is in use.")
        del self.running[kind][name]
        return ""

    def run(self, command):
        words = command.split()
        text = " ".join(words)
        self.state.setdefault("log", []).append(text)
        if not words:
            return ""
        match words:
            case ["cd", folder]:
                self.folder = folder
                return ""
            case ["show", *what]:
                return self.show(" ".join(what))
            case ["list", "ltm", "profile", "client-ssl", name, *fields] if set(fields) <= {"cert-key-chain", "inherit-certkeychain"}:
                return self.list_profile(name)
            case ["list", "sys", "file", "ssl-cert" | "ssl-key" as kind, name, *rest] if rest in ([], ["-hidden"]):
                return self.list_object(kind[4:], name, bool(rest))
            case ["install", "sys", "crypto", "key" | "cert" as kind, name, "from-local-file", path]:
                return self.install(kind, name, path)
            case ["modify", "ltm", "profile", "client-ssl", name, "cert-key-chain", *rest]:
                return self.change_profile(name, rest, False)
            case ["create", "ltm", "profile", "client-ssl", name, "defaults-from", _, "cert-key-chain", *rest]:
                return self.change_profile(name, rest, True)
            case ["delete", "ltm", "profile", "client-ssl", name]:
                return self.delete("profile", name)
            case ["delete", "sys", "file", "ssl-cert" | "ssl-key" as kind, name]:
                return self.delete(kind[4:], name)
            case ["save", "sys", "config"]:
                if self.knobs.get("refuse_save"):
                    raise Refused("01070712:3: the disk is full")
                self.state["saved"] = json.loads(json.dumps(self.running))
                return "Saving running configuration...\n  /config/bigip.conf"
            case ["run", "cm", "config-sync", "to-group", _]:
                self.state["peer"] = json.loads(json.dumps(self.running))
                return ""
        raise Refused(f"Syntax Error: unexpected argument \"{words[0]}\"")


def cut(pid):
    """Ends the SSH connection that the command of this process came through."""
    while pid > 1:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            rest = file.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
            if file.read().startswith("sshd"):
                os.kill(pid, 9)
                break
        pid = int(rest[1])


def answer(pid, commands):
    """What the commands of a process say."""
    with open(STATE, encoding="utf-8") as file:
        device = Device(json.load(file))
    said, cuts = [], False
    for command in re.split(r"[;\n]", commands):
        wanted = device.knobs.get("cut")
        cuts = bool(wanted) and wanted in command
        if cuts and device.knobs.get("cut_before"):
            del device.knobs["cut"]
            break
        try:
            said.append(device.run(command))
        except Refused as why:
            said.append(str(why))
        if cuts:
            del device.knobs["cut"]
            break
    with open(STATE + ".new", "w", encoding="utf-8") as file:
        json.dump(device.state, file, indent=1)
    os.replace(STATE + ".new", STATE)
    if cuts:
        cut(pid)
        return ""
    text = "\n".join(part for part in said if part)
    if device.knobs.get("garbage"):
        text = "\x1b[2J\x00\xff" * 70000
    end = "\r\n" if device.knobs.get("crlf") else "\n"
    return text and text.replace("\n", end) + end


def serve(client):
    asked = b""
    while not asked.endswith(b"\0"):
        part = client.recv(65536)
        if not part:
            return
        asked += part
    try:
        pid, _, commands = asked[:-1].decode().partition("\n")
        text = answer(int(pid), commands)
    except Exception:  # noqa: BLE001 # the test that this breaks is told, and not the program that it tests
        traceback.print_exc()
        text = "the fake is broken"
    client.sendall(text.encode())


def main():
    with open(STATE + ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # another one serves
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with open(PORT + ".new", "w", encoding="ascii") as file:
                file.write(f"{listener.getsockname()[1]}\n")
            os.replace(PORT + ".new", PORT)
            while True:
                client, _ = listener.accept()
                with client:
                    try:
                        serve(client)
                    except OSError:
                        pass  # its reader went away


main()
