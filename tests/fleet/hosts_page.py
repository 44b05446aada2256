#!/usr/bin/python3
"""hosts_page.py DIRECTORY: writes docs/hosts.md from what the tests in tests/fleet/releases left there, a file for each
kind of host with `ok STORY` or `FAILED STORY` a line. Kinds are named RELEASE or RELEASE_OTHER."""

import datetime
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from fleetlib import releases  # noqa: E402

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/hosts.md"
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13", "sid": "Debian sid"}
# kind's second part → (what to call it, package that gives it)
OTHERS = {
    "sudo_rs": ("sudo-rs as `sudo` and `su`", "sudo-rs"),
    "uutils": ("uutils in place of GNU coreutils", "rust-coreutils"),
    "busybox": ("BusyBox as `sh` and as every tool that it has", "busybox-static"),
    "toybox": ("toybox as every tool that it has", "toybox"),
    "zsh": ("zsh as `sh`", "zsh"),
    "mksh": ("mksh as `sh`", "mksh"),
    "dropbear": ("dropbear as SSH server", "dropbear-bin"),
}
PROGRAMS = {
    "OpenSSH": "openssh-server", "sudo": "sudo", "dash": "dash", "coreutils": "coreutils", "util-linux": "util-linux",
    "OpenSSL": "openssl", "systemd": "systemd", "nginx": "nginx", "Apache": "apache2", "HAProxy": "haproxy",
    "Postfix": "postfix", "Dovecot": "dovecot-core", "Caddy": "caddy",
}
HEAD = """\
# Hosts

What certroll was tested on, and with which versions. `tests/run.sh --releases all` writes this page; the tests are in
`tests/fleet/releases`. Every host is a real one, with its own root, network, SSH server and services.

Each kind of host runs these tests, with nginx: {stories}. On Debian 13 and sid, every
service below is also renewed with each type of key, left alone by a second run, and restored after a failure, and so are Traefik and
Envoy; and what a reload costs those who are connected is compared with the profiles. On Debian 12 the whole test suite does that. Where all tools are BusyBox's or toybox's, a file's extended user attributes
are not kept, because they have no tool that copies them.

Log-ins are compared with each release's own `ssh`, at its own `sshd`, and the program on the host is killed at every step in
each release's own shells.

Last run: {day}.

## Kinds

| host | tested with | passed |
|---|---|---|
"""


def main(directory):
    results = {f.name: [line.split(" ", 1) for line in f.read_text().splitlines()] for f in Path(directory).iterdir()}
    if not results:
        sys.exit("hosts_page: nothing was tried")
    order = sorted(results, key=lambda kind: (list(RELEASES).index(kind.partition("_")[0]), kind))
    stories = "; ".join(name for _, name in results[next(k for k in order if "_" in k)]) if any("_" in k for k in order) else "…"
    text = HEAD.format(stories=stories, day=datetime.date.today())
    for kind in order:
        release, _, other = kind.partition("_")
        base = releases.root(release)
        said, package = OTHERS[other] if other else ("its own tools", "openssh-server")
        version = upstream(releases.version(base, package))
        with_what = f"{said} ({'OpenSSH ' if not other else ''}{version})"
        failed = [name for how, name in results[kind] if how != "ok"]
        held = f"all {len(results[kind])}" if not failed else f"not: {', '.join(failed)}"
        text += f"| {RELEASES[release]} | {with_what} | {held} |\n"
    there = [r for r in RELEASES if any(k.partition("_")[0] == r for k in order)]
    text += "\n## Versions\n\n| | " + " | ".join(RELEASES[r] for r in there) + " |\n|---" + "|---" * len(there) + "|\n"
    for name, package in PROGRAMS.items():
        text += f"| {name} | " + " | ".join(upstream(releases.version(releases.root(r), package)) for r in there) + " |\n"
    PAGE.write_text(text)
    print(f"{PAGE} is written")


def upstream(version):
    """Debian's version without epoch, repacking and revision."""
    number = version.rpartition(":")[2]
    return (number.rpartition("-")[0] or number).partition("+")[0]


if __name__ == "__main__":
    main(sys.argv[1])
