"""The same command on all hosts by one client."""

import asyncio
import re
from pathlib import Path

from common import WORK, archive, arguments, look
from pssh.clients import ParallelSSHClient

hosts, pki, config = arguments()
key = re.search(r"IdentityFile (\S+)", Path(config).read_text()).group(1)
client = ParallelSSHClient([address for _, address in hosts], user="deploy", pkey=key, pool_size=50)
outputs = client.run_command(WORK)
files = archive(pki)
for output in outputs:
    output.stdin.write(files)
    output.client.eagain(output.channel.send_eof)
client.join(outputs)
for output in outputs:
    if output.exit_code != 0:
        raise SystemExit(f"{output.host}: exit code {output.exit_code}: {list(output.stderr)}")


async def looks():
    await asyncio.gather(*(look(address, pki) for _, address in hosts))


asyncio.run(looks())
