"""What was measured as pages: docs/reload-semantics.md, a page for each service, the table in docs/services.md.

Of a service's page the block between `<!-- profile NAME -->` and `<!-- end -->` is the profile's, and tests/pure/service_pages
writes it; all else is written here. A page without the line `<!-- measured -->` was written by hand and is left alone.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
RESULTS = ROOT / "tests/measure/results"
PROFILES = ROOT / "src/services/builtin"
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13", "sid": "Debian sid"}

MATERIAL = {
    "mismatched": "a mismatched pair",
    "rsa-leaf-ec-key": "an RSA certificate with an EC key",
    "garbage": "a certificate file that is no PEM",
    "truncated": "a certificate cut short",
    "junk-chain": "junk after a good leaf",
    "garbage-key": "a key file that is no PEM",
    "encrypted-key": "an encrypted key",
    "no-key": "a missing key file",
    "expired": "an expired leaf",
    "no-chain": "a leaf without its chain",
}
THEN = {
    "old one served": "goes on with the old certificate",
    "no TLS": "refuses TLS",
    "port closed": "the port is closed",
}
BRIEF = {"old one served": "old", "no TLS": "**no TLS**", "port closed": "**port closed**"}


def results():
    """(service, release) → what was found, sorted."""
    found = {}
    for release in RELEASES:
        for file in sorted((RESULTS / release).glob("*.json")):
            found[file.stem, release] = json.loads(file.read_text())
    return found


def profile(name):
    """The text of a built-in profile, None where there is none."""
    file = PROFILES / f"{name}.yml"
    return file.read_text() if file.exists() else None


def field(text, key):
    found = re.search(rf"^{key}: (.*)$", text, re.M)
    return found[1] if found else ""


def listed(text, key):
    """The items of a list at the end of a profile."""
    _, _, rest = text.partition(f"\n{key}:\n")
    items = []
    for line in rest.splitlines():
        if not line.startswith("  - "):
            break
        item = line[4:]
        items.append(json.loads(item) if item.startswith('"') else item)
    return items


def sentence(words):
    words = list(words)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def version(one):
    return re.sub(r"^\d+:", "", one["version"]).split("-")[0].split("+")[0]


def restarts(name):
    return "it is restarted" in (profile(name) or "")


def check(one):
    found = one["check"]
    if found is None:
        return "none"
    refused = [name for name, said in found.items() if said == "refused"]
    return sentence(MATERIAL[name].removeprefix("a ").removeprefix("an ") for name in refused) if refused else "nothing"


def seconds(took):
    return "at once" if took < 1 else f"{took:.0f} s"


def semantics(found):
    """docs/reload-semantics.md"""
    lines = [
        "# What a check reads and what a reload does",
        "",
        "Every line was measured on the real program, installed from Debian, with a small configuration, in namespaces of its own:",
        "`tests/measure/measure NAME` does it again (as root, with mmdebstrap), `tests/measure/measure --page` writes this page. None of",
        "it is copied from manuals. The surprise: **most checks read no certificate, most reloads end with 0 whatever they loaded,",
        "and only a handshake shows it.**",
        "",
        "How to read it:",
        "",
        "- *its check refuses*: the service's own check of its configuration, with the bad files in place. No check at all is *none*; one that accepts all of them refuses *nothing*.",
        "- *reload*: a new connection is shown the new certificate; *restart* where nothing less helps; *by itself* where new files are",
        "  served without being told (within eight seconds). What was tried in vain follows in brackets.",
        "- *open connection*: what became of an idle TLS connection, without a log-in, after eight seconds.",
        "- *bad pair*: what new connections get four seconds after a reload with files that cannot work, and the exit code of the reload.",
        "  *old* is the old certificate: nothing is lost. Then what brings it back once good files are there.",
        "- *key of root alone*: a key file that only root can read (0600): whether the service starts with it, and whether a reload accepts it.",
        "- *EC → RSA*: what clients that accept only ECDSA get after a change to an RSA key: *both* means that the old certificate is still",
        "  shown to them, beside the new one.",
        "",
    ]
    for release, name in RELEASES.items():
        rows = [one for (_, where), one in found.items() if where == release]
        if not rows:
            continue
        lines += [
            f"## {name}",
            "",
            "| service | version | its check refuses | reload | open connection | bad pair: mismatched | RSA with EC key | no PEM | no key file | back by | key of root alone | EC → RSA |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for one in rows:
            lines.append(row(one))
        lines.append("")
    lines += [
        "## What was not measured",
        "",
        "Services under systemd's sandbox settings; reloads under load; Zabbix' agent, which takes RSA keys only",
        "as Debian builds it; OpenSMTPD 6.8.0p2 of Debian 12, which shows a certificate and finishes no handshake, with EC and RSA keys alike",
        "(`SSL routines::EVP lib` in its log; that of Debian 13 does).",
        "",
        "CoreDNS, Grafana, Webmin and Asterisk: neither Debian 12 nor Debian 13 has packages of them. Debian 12 has none of Pound and Valkey either.",
        "",
        "OpenVPN and strongSwan are measured and have no profile: they show their certificates inside their own protocols, so no handshake from outside can",
        "prove a rollout. For OpenVPN the table says what its own client is shown; for strongSwan, which shows nothing before a log-in,",
        "which certificate with a key it says it has loaded. A task with `service: files`, their reload, `verify: false` and a check of its own rolls them out.",
        "",
    ]
    return "\n".join(lines)


def reload(one):
    name = one["service"]
    vain = [how for how, said in one["tried"].items() if said["then"] != "gen2"]
    vain = f" ({sentence(f'`{how}`' for how in vain)}: in vain)" if vain else ""
    if one["serves other files without being told"] == "yes":
        return "by itself"
    return ("restart" if restarts(name) else "reload") + vain


def row(one):
    bad = one["bad"]

    def what(name):
        if name not in bad:
            return ""
        return f"{BRIEF.get(bad[name]['then'], bad[name]['then'])} ({bad[name]['exit code']})"

    order = ["reload", "start", "restart", "never"]
    back = max((said["comes back by"] for said in bad.values()), key=order.index)
    root = one["root-only key"]
    alone = "good" if root is None else f"start {'yes' if root['start'] == 'served' else 'no'}, reload {'yes' if root['reload'] == 'served' else 'no'}"
    kinds = one["kinds"]
    both = "both" if kinds["to a client of ECDSA"] == "gen1" else "the new one alone"
    name = one["service"]
    page = f"[{name}](services/{name}.md)" if (DOCS / f"services/{name}.md").exists() or profile(name) else name
    cells = [
        page, version(one), check(one), reload(one), one["reload"]["open connection"],
        what("mismatched"), what("rsa-leaf-ec-key"), what("garbage"), what("no-key"), back, alone, both,
    ]
    return "| " + " | ".join(cells) + " |"


# ---------------------------------------------------------------- a page for each
def page(name, found):
    text = profile(name)
    release = next(r for r in RELEASES if (name, r) in found)
    one = found[name, release]
    title = field(text, "description")
    port = re.search(r"port: (\d+)", text)[1]
    block = ""
    file = DOCS / f"services/{name}.md"
    if file.exists():
        old = re.search(rf"<!-- profile {name} -->\n.*?<!-- end -->", file.read_text(), re.S)
        block = old[0] if old else ""
    block = block or f"<!-- profile {name} -->\n<!-- end -->"
    places = re.findall(r"port: (\d+), starttls: (\w+)", text)
    dest = "" if "dest:\n" in text else f" -e '{{\"dest\": {{\"cert\": \"/path/of/the/certificate\", \"key\": \"/path/of/the/key\"}}}}'"
    sealed = "key: pkcs12" in text
    dest += " -e @keystore.yml" if sealed else ""
    lines = [
        f"# {title.split(',')[0].split(' with ')[0].split(' (')[0]}",
        "",
        "<!-- measured -->",
        block,
        "",
        f"{title[0].upper() + title[1:]}. What follows was measured with {version(one)} of {RELEASES[release]}"
        " ([how](../reload-semantics.md)).",
        "",
        "## Roll it out",
        "",
        f"    certroll apply -i inventories/edge.ini playbooks/one-service.yml -e service={name} -e certs_dir=../certs{dest}",
        "",
        *(["`keystore.yml`, which belongs in a vault, says `dest: {password: …}`: the password that the service's configuration has.", ""] if sealed else []),
        "## What is checked",
        "",
        checked(one),
        "",
        "## What the reload does",
        "",
        told(name, one),
        "",
        "## What is seen",
        "",
        "A handshake on " + sentence(f"port {number}" + (f" (STARTTLS {how})" if how != "none" else "") for number, how in places) + ".",
        "",
        "## What goes wrong",
        "",
        wrong(one),
        "",
        "## Traps",
        "",
        *[f"- {trap[0].upper() + trap[1:]}." for trap in listed(text, "caveats")],
        "",
    ]
    return "\n".join(lines)


def checked(one):
    found = one["check"]
    if found is None:
        return "Nothing on the host: it has no check of its own. The controller's checks stand alone, and `plan` says so."
    refused = [MATERIAL[n] for n, said in found.items() if said == "refused"]
    passed = [MATERIAL[n] for n, said in found.items() if said == "accepted" and n in MATERIAL]
    if not refused:
        return "Its own check reads the configuration and no certificate: " + sentence(passed) + " all pass."
    return f"Its own check refuses {sentence(refused)}." + (f" What passes: {sentence(passed)}." if passed else "")


def told(name, one):
    facts = one["reload"]
    parts = []
    if one["serves other files without being told"] == "yes":
        parts.append("New files are served without being told.")
    elif restarts(name):
        parts.append("Nothing less than a restart makes it serve new files.")
    else:
        parts.append(f"The new certificate is served {seconds(facts['served after'])}.")
    parts.append({"kept": "An open connection stays.", "closed": "An open connection is closed.", "not tried": ""}[facts["open connection"]])
    vain = [how for how, said in one["tried"].items() if said["then"] != "gen2"]
    if vain:
        parts.append(f"Tried in vain: {sentence(f'`{how}`' for how in vain)}.")
    root = one["root-only key"]
    if root and root["start"] == "served" and root["reload"] != "served":
        parts.append("A key that only root can read is good for a start, and not for a reload.")
    elif root and root["start"] != "served":
        parts.append("A key that only root can read is good for neither a start nor a reload.")
    if one["kinds"]["to a client of ECDSA"] == "gen1":
        parts.append("After a change from an EC key to an RSA one, clients that take ECDSA go on getting the old certificate.")
    return " ".join(part for part in parts if part)


def wrong(one):
    """Bad files that were loaded all the same; certroll's own checks come before, and its way back after."""
    groups = {}
    for name, said in one["bad"].items():
        groups.setdefault((said["then"], said["exit code"], said["comes back by"]), []).append(MATERIAL[name])
    lines = []
    for (then, code, back), names in groups.items():
        what = THEN.get(then) or "it starts and shows the new certificate, and no handshake is finished"
        back = {"reload": "good files and another reload bring it back", "start": "it has to be started again", "restart": "it has to be restarted", "never": "nothing brought it back"}[back]
        lines.append(f"- With {sentence(names)}: {what}, and the reload ends with {code}. Then {back}.")
    return "\n".join(["A reload with files that cannot work, which certroll refuses on the controller or takes back:", "", *lines])


def index(found):
    """The rows of docs/services.md."""
    lines = ["| profile | files | its own check refuses | how new files are loaded | a mismatched pair would |", "|---|---|---|---|---|"]
    for name in sorted({n for n, _ in found}):
        text = profile(name)
        if text is None or not measured(name):
            continue
        one = next(found[name, r] for r in RELEASES if (name, r) in found)
        files = "PKCS#12 keystore" if "key: pkcs12" in text else "one file" if "key: last" in text or "key: first" in text else "cert + key"
        bad = one["bad"].get("mismatched")
        then = THEN.get(bad["then"]) or "be shown, with no handshake finished" if bad else "never be put into a keystore"
        then = {"goes on with the old certificate": "be refused, the old one stays", "refuses TLS": "**end TLS**", "the port is closed": "**close the port**"}.get(then, then)
        lines.append(f"| [`{name}`](services/{name}.md) | {files} | {check(one)} | {reload(one)} | {then} |")
    return "\n".join(lines) + "\n"


def measured(name):
    file = DOCS / f"services/{name}.md"
    return not file.exists() or "<!-- measured -->" in file.read_text()


def write(check_only=False):
    """Writes what is not as it should be; with `check_only` names it."""
    found = results()
    wanted = {DOCS / "reload-semantics.md": semantics(found)}
    for name in sorted({n for n, _ in found}):
        if profile(name) and measured(name):
            wanted[DOCS / f"services/{name}.md"] = page(name, found)
    services = DOCS / "services.md"
    before, mark, rest = services.read_text().partition("<!-- measured -->\n")
    _, end, after = rest.partition("<!-- end -->")
    wanted[services] = before + mark + index(found) + end + after
    stale = [file for file, text in wanted.items() if not file.exists() or file.read_text() != text]
    if not check_only:
        for file in stale:
            file.write_text(wanted[file])
    return [str(file.relative_to(ROOT)) for file in stale]
