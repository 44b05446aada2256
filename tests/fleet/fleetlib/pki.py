"""Keys and certificates: a root, an issuing authority, good generations and bad material.

Each generation is a directory DIR/pki/NAME with fullchain.pem (leaf, then issuer), cert.pem,
chain.pem, privkey.pem (mode 0600) and leaf.sha256 (hexadecimal digest of the DER leaf).
"""

import fcntl
import os
import shutil
import time
from pathlib import Path

from .place import DIR, HERE, SERVER_NAME, each, leaf_digest, quiet

PKI = DIR / "pki"
# What other fleets take within so many seconds.
KEPT = Path(os.environ.get("FLEET_PKI_KEPT") or HERE.parent.parent / "target/fleet-pki").absolute()
KEPT_FOR = 6 * 3600
NAMES = f"DNS:{SERVER_NAME},DNS:*.fleet.test"
KINDS = {
    "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "rsa": ["rsa", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ed25519": ["ed25519"],
    # A signature with SHA-1: OpenSSL's usual security level refuses it.
    "sha1": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    # So do OpenSSL and BoringSSL with this key.
    "rsa1024": ["rsa", "-pkeyopt", "rsa_keygen_bits:1024"],
}
CONFIG = """\
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[issuer]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $ENV::FLEET_SAN
[ca]
default_ca = dated
[dated]
database = $ENV::FLEET_CA_WORK/index
serial = $ENV::FLEET_CA_WORK/serial
new_certs_dir = $ENV::FLEET_CA_WORK
default_md = sha256
policy = any
x509_extensions = leaf
unique_subject = no
[any]
commonName = supplied
"""


def openssl(*argv, san=NAMES, work="/nonexistent"):
    return quiet("openssl", *argv, env={**os.environ, "FLEET_SAN": san, "FLEET_CA_WORK": str(work)})


def build():
    """Makes everything that tests share, unless it is there from an earlier time; fleets of tests take it from each other."""
    if (PKI / "complete").exists():
        return
    shutil.rmtree(PKI, ignore_errors=True)
    try:
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        lock = open(f"{KEPT}.lock", "w")
    except OSError:
        # A checkout that cannot be written.
        make()
        return
    with lock:
        # Of several fleets one makes it and the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = KEPT / "complete"
        if not mark.exists() or not 0 <= time.time() - mark.stat().st_mtime < KEPT_FOR:
            make()
            # Whole or not at all, wherever this is killed.
            new = Path(f"{KEPT}.new")
            for old in (new, KEPT):
                shutil.rmtree(old, ignore_errors=True)
            shutil.copytree(PKI, new)
            new.rename(KEPT)
        else:
            shutil.copytree(KEPT, PKI)


def make():
    PKI.mkdir(parents=True)
    (PKI / "openssl.cnf").write_text(CONFIG)
    sign("root", "Fleet Test Root", "ca", days=3650)
    sign("issuer", "Fleet Test Issuing", "int", days=3000, issuer="ca")
    good = {
        "gen1": {},
        "gen2": {},
        "gen3-rsa": {"kind": "rsa"},
        "gen4-p384": {"kind": "p384"},
        "wrong-name": {"san": "DNS:elsewhere.example"},
        "expired": {"dates": ("20200101000000Z", "20200201000000Z")},
        "not-yet-valid": {"dates": ("20900101000000Z", "20910101000000Z")},
    }
    each(lambda one: issue(one[0], **one[1]), list(good.items()))
    spoil()
    (PKI / "complete").touch()


def sign(section, common_name, stem, days, issuer=None, kind="ec", san=NAMES, directory=PKI, key=None):
    """One key, a new one or a copy of `key`, and one certificate; self-signed without an issuer."""
    if key:
        secret(directory / f"{stem}.key", key.read_text())
    own = ["-key", directory / f"{stem}.key"] if key else ["-newkey", *KINDS[kind], "-nodes", "-keyout", directory / f"{stem}.key"]
    by = ["-CA", PKI / f"{issuer}.crt", "-CAkey", PKI / f"{issuer}.key"] if issuer else []
    openssl(
        *["req", "-x509", "-config", PKI / "openssl.cnf", "-extensions", section, "-subj", f"/CN={common_name}"],
        *[*own, "-days", str(days), *by, "-sha1" if kind == "sha1" else "-sha256", "-out", directory / f"{stem}.crt"],
        san=san,
    )


def issue(name, kind="ec", san=NAMES, days=90, dates=None, key_of=None):
    """A generation; `dates` = (not before, not after) as YYYYMMDDhhmmssZ instead of `days` from now. `key_of`: with the key
    of that generation."""
    d = PKI / name
    d.mkdir(exist_ok=True)
    common_name = san.split(",")[0].removeprefix("DNS:")
    if dates:
        request(d, kind, common_name, san, dates)
    else:
        key = PKI / key_of / "privkey.pem" if key_of else None
        sign("leaf", common_name, "leaf", days, issuer="int", kind=kind, san=san, directory=d, key=key)
    lay_out(d, (d / "leaf.crt").read_text(), (PKI / "int.crt").read_text(), (d / "leaf.key").read_text())
    (d / "leaf.crt").unlink()
    (d / "leaf.key").unlink()


def request(d, kind, common_name, san, dates):
    """`openssl ca` is the only one of openssl 3.0's commands that takes dates."""
    work = d / "ca"
    work.mkdir()
    (work / "index").touch()
    (work / "serial").write_text(os.urandom(15).hex() + "\n")
    config = ["-config", PKI / "openssl.cnf"]
    openssl(
        *["req", *config, "-newkey", *KINDS[kind], "-nodes", "-subj", f"/CN={common_name}"],
        *["-keyout", d / "leaf.key", "-out", work / "csr"],
        san=san,
    )
    openssl(
        *["ca", *config, "-batch", "-notext", "-cert", PKI / "int.crt", "-keyfile", PKI / "int.key"],
        *["-startdate", dates[0], "-enddate", dates[1], "-in", work / "csr", "-out", d / "leaf.crt"],
        san=san,
        work=work,
    )
    shutil.rmtree(work)


def lay_out(d, leaf, chain, key):
    d.mkdir(exist_ok=True)
    for name, text in {"cert": leaf, "chain": chain, "fullchain": leaf + chain}.items():
        (d / f"{name}.pem").write_text(text)
    secret(d / "privkey.pem", key)
    (d / "leaf.sha256").write_text(leaf_digest(leaf) + "\n")


def secret(path, text):
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        f.write(text)


def spoil():
    """Material that must never go live, made out of the good one. Only fullchain.pem and privkey.pem."""
    good = {p: (PKI / "gen2" / f"{p}.pem").read_text() for p in ("cert", "chain", "fullchain", "privkey")}
    other_key = (PKI / "gen1/privkey.pem").read_text()
    rsa = (PKI / "gen3-rsa/fullchain.pem").read_text()
    lines = good["cert"].splitlines(keepends=True)
    bad = {
        "mismatched": (good["fullchain"], other_key),
        "rsa-leaf-ec-key": (rsa, good["privkey"]),
        "no-chain": (good["cert"], good["privkey"]),
        "reversed": (good["chain"] + good["cert"], good["privkey"]),
        "truncated": ("".join(lines[:4]), good["privkey"]),
        "garbage": ("this is not a certificate\n", good["privkey"]),
    }
    for name, (chain, key) in bad.items():
        (PKI / name).mkdir()
        (PKI / name / "fullchain.pem").write_text(chain)
        secret(PKI / name / "privkey.pem", key)
    sealed = PKI / "encrypted-key"
    sealed.mkdir()
    shutil.copy(PKI / "gen2/fullchain.pem", sealed)
    secret(sealed / "privkey.pem", "")
    openssl("pkey", "-in", PKI / "gen2/privkey.pem", "-aes256", "-passout", "pass:fleet", "-out", sealed / "privkey.pem")


def generations():
    """Leaf digest → name of its generation."""
    return {f.read_text().strip(): f.parent.name for f in PKI.glob("*/leaf.sha256")}
