"""Where things are, and small helpers around processes."""

import binascii
import hashlib
import shutil
import subprocess
from pathlib import Path

from . import near
from .near import PATH, fail  # noqa: F401

HERE = Path(__file__).resolve().parent.parent
DIR = Path(near.DIR)
SERVER_NAME = "www.fleet.test"


def run(*argv, **options):
    """Runs a program; a non-zero exit status is an exception unless check=False."""
    options.setdefault("check", True)
    return subprocess.run([str(a) for a in argv], **options)


def quiet(*argv, **options):
    """Runs a program whose standard error only matters when it fails."""
    done = run(*argv, check=False, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
    if done.returncode:
        fail(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def each(function, items):
    """What it gives for each item, several at a time."""
    if len(items) < 2:
        return [function(one) for one in items]
    # Takes as long to load as all of the others together.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(function, items))


def leaf_digest(pem):
    """SHA-256 of the first certificate, hexadecimal."""
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    return hashlib.sha256(binascii.a2b_base64(body)).hexdigest()


def missing_programs(names):
    """Those of `names` that are not on the machine."""
    return [n for n in names if not shutil.which(n, path=PATH)]
