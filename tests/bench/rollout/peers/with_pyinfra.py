"""A deploy of pyinfra: two files, the check, the reload. The handshakes are made by the bench."""

from pyinfra import host
from pyinfra.operations import files, server

for name, mode in (("fullchain.pem", "644"), ("privkey.pem", "600")):
    files.put(
        src=f"{host.data.pki}/{name}",
        dest=f"/etc/nginx/tls/{name}",
        user="root",
        group="root",
        mode=mode,
        _sudo=True,
    )
server.shell(commands=["nginx -t -q", "nginx -s reload"], _sudo=True)
