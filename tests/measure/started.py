"""What a profile has a host start before anything live changes: its check, the question which files the configuration names,
the question what is loaded, the export of what a store has. Each runs once under strace, on the real program, while the
service runs; processes are counted, threads are not, nor what a daemon starts that is asked over a socket. What certroll starts
around them is counted in tests/shell/transaction/budget.rs.
"""

import json
import re
import shlex
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROFILES = HERE.parent.parent / "src/services/builtin"
RESULTS = HERE / "results/started.json"

# The service of tests/fleet/services on which a profile is counted, where that is not of the same name.
ON = {"haproxy-runtime": "haproxy", "postfix-chain": "postfix", "tomcat-keystore": "tomcat"}
# Packages that a service's profiles need and it does not come with.
PACKAGES = {"caddy-api": ["caddy", "curl"], "haproxy": ["socat"], "envoy": ["curl"]}
# The release to count on, where Debian 12 does not have the program or has one that does not work.
RELEASES = {"knot": "trixie", "opensmtpd": "trixie", "pound": "trixie", "valkey": "trixie"}
# What the profile's user would set.
SETTINGS = {
    "tomcat-keystore": {"keystore": "/etc/tomcat10/tls/keystore.p12", "password_file": "/tmp/password", "entry": "1"},
}
PURPOSES = {"names": "discover", "loaded": "loaded"}


def service(profile):
    return ON.get(profile, profile)


def load(name):
    """A profile as certroll reads it."""
    import yaml  # Debian's python3-yaml

    text = (PROFILES / f"{name}.yml").read_text()
    found = yaml.load(text, Loader=yaml.BaseLoader)
    if base := found.pop("extends", None):
        below = load(base)
        merged = {k: {**below.get(k, {}), **found[k]} for k in ("settings", "layout", "modes", "running") if isinstance(found.get(k), dict)}
        found = {**below, **found, **merged}
    return found


def on_debian(spec):
    """The command of a Debian host without systemd, as words; None where there is none."""
    if isinstance(spec, str):
        return shlex.split(spec)
    if isinstance(spec, list):
        return spec
    if "shell" in spec:
        return ["/bin/sh", "-c", spec["shell"]]
    for variant in ("debian", "plain", "default"):
        if variant in spec:
            return on_debian(spec[variant])
    return None


def commands(name):
    """(purpose, words, the step of `validate` or an empty mapping) of everything that is asked before the switch."""
    profile = load(name)
    steps = profile.get("validate", "none")
    for step in [] if steps == "none" else steps if isinstance(steps, list) else [steps]:
        yield "check", on_debian(step["command"]), step
    for purpose, key in PURPOSES.items():
        spec = profile.get(key, "none")
        if spec != "none":
            spec = spec["command"] if key == "discover" else spec
            if words := on_debian(spec):
                yield purpose, words, {}
    if profile.get("export", "none") != "none":
        yield "export", on_debian(profile["export"]), {}


def is_counted(name):
    """Whether there is something to count, and a real program to count it on."""
    return "experimental" not in load(name) and any(commands(name))


def known():
    return [name for name in sorted(p.stem for p in PROFILES.glob("*.yml")) if is_counted(name)]


def expand(words, values):
    """Placeholders as certroll fills them in."""

    is_shell = words[:2] == ["/bin/sh", "-c"]

    def value(found):
        text = values.get(found[1], found[0])
        return "'" + text.replace("'", r"'\''") + "'" if is_shell and found[1] in values else text

    return [re.sub(r"\{([a-z_]+)\}", value, word) for word in words]


TRACED = ["strace", "-f", "-qq", "-e", "trace=execve,execveat,clone,clone3,fork,vfork", "-e", "signal=none", "-o"]


def programs(trace):
    """How many processes ran which program at last, from strace's lines."""
    ran, owner, cut = {}, {}, {}
    for line in trace.splitlines():
        pid, _, call = line.partition(" ")
        call = call.strip()
        if call.startswith("<... "):
            call = cut.pop(pid, "") + call.partition("resumed>")[2]
        elif call.endswith("<unfinished ...>"):
            cut[pid] = call.removesuffix("<unfinished ...>")
            continue
        me = owner.get(pid, pid)
        if call.startswith("exec"):
            if re.search(r"\) += 0$", call):
                ran[me] = Path(re.search(r'"([^"]*)"', call)[1]).name
        elif born := re.search(r"\) += (\d+)$", call):
            if "CLONE_THREAD" in call:
                owner[born[1]] = me
            else:
                ran.setdefault(born[1], ran.get(me, "?"))
    counts = {}
    for program in ran.values():
        counts[program] = counts.get(program, 0) + 1
    return dict(sorted(counts.items()))


def measure(service, profile, root, environment, run):
    """Counts everything on a service that runs (`Measured` of tests/measure/measure)."""
    settings = load(profile).get("settings", {})
    live = service.live()
    values = {**settings, **SETTINGS.get(profile, {})}
    values |= {"cert": live[0], "key": live[-1], "chain": live[0], "certs": live[0]}
    found = {}
    for purpose, words, step in commands(profile):
        at = dict(values)
        if "template" in step:
            text = expand([step["template"]], {k: json.dumps(v) for k, v in at.items()})[0]
            (root / "tmp/template.yaml").write_text(text)
            at["template"] = "/tmp/template.yaml"
        if purpose == "export":
            (root / "tmp/export").mkdir(mode=0o700, exist_ok=True)
            (root / "tmp/password").write_text("changeit\n")
            at |= {"cert": "/tmp/export/cert.pem", "key": "/tmp/export/key.pem"}
        user = step.get("as_user")
        user = service.runs_as() if user == "process_user" else user
        apart = ["unshare", "--net"] if step.get("net_private") == "true" else []
        within = ["chroot", *([f"--userspec={user}:"] if user else []), root, "env", "-i", *environment]
        trace = Path("/run/started.trace")
        done = run(*apart, *TRACED, trace, *within, *expand(words, at), check=False, capture_output=True, text=True, errors="replace")
        # grep ends with 1 where it finds nothing, and with 2 where one of several places does not exist.
        if done.returncode and not (purpose == "names" and (done.stdout or done.returncode == 1)):
            raise SystemExit(f"{profile}: {purpose}: {words}: {done.returncode}: {done.stdout[-900:]}{done.stderr[-900:]}")
        found.setdefault(purpose, []).append({"argv": expand(words, settings), "programs": programs(trace.read_text())})
    return found


def record(profile, release, version, found):
    """Into the file of all results."""
    every = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    every[profile] = {"release": release, "version": version, **found}
    RESULTS.write_text(json.dumps(dict(sorted(every.items())), indent=1, ensure_ascii=False) + "\n")
