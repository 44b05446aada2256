"""What the peers in Python share: the work on a host as one shell command, and the look at what is served."""

import asyncio
import hashlib
import io
import ssl
import sys
import tarfile
from pathlib import Path

# As in the OpenSSH loop: both files at once, the renames, the check of the whole configuration, the reload.
WORK = """sudo -n sh -c '
set -e
umask 077
cd /etc/nginx/tls
mkdir .new
tar -x -C .new
chown root:root .new/*
chmod 644 .new/fullchain.pem
chmod 600 .new/privkey.pem
mv -f .new/fullchain.pem .new/privkey.pem .
rmdir .new
nginx -t -q
nginx -s reload 2>/dev/null
'"""


def arguments():
    """HOSTS PKI CONFIG: (name, address) of each host, the directory of the generation, the configuration of OpenSSH."""
    hosts = [line.split()[:2] for line in Path(sys.argv[1]).read_text().splitlines()]
    return hosts, Path(sys.argv[2]), sys.argv[3]


def archive(pki):
    """The two files as tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("fullchain.pem", "privkey.pem"):
            tar.add(pki / name, name)
    return out.getvalue()


async def look(address, pki):
    """Waits until the host serves the generation; fails after ten looks."""
    wanted = (pki / "leaf.sha256").read_text().strip()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for _ in range(10):
        _, writer = await asyncio.open_connection(address, 443, ssl=context, server_hostname="www.fleet.test")
        leaf = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        if hashlib.sha256(leaf).hexdigest() == wanted:
            return
        await asyncio.sleep(0.05)
    raise SystemExit(f"{address} serves another certificate")
