"""Sessions with the FAKE of Windows: what sshd runs for each hands its command and its streams to fake.py, which is there already.

    login.py SOCKET

It starts for each session: no more is imported than that takes.
"""
import posix
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SO_PEERCRED, SOCK_SEQPACKET, SOL_SOCKET, socket


def hand_over(path):
    link = socket(AF_UNIX, SOCK_SEQPACKET)
    link.connect(path)
    streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in range(3))
    # No message is empty.
    line = b"." + posix.environ.get(b"SSH_ORIGINAL_COMMAND", b"")
    link.sendmsg([line], [(SOL_SOCKET, SCM_RIGHTS, streams)])
    code = link.recv(1)
    sys.exit(code[0] if code else 1)


def take(path, shell):
    """The other end, a process that runs each in one of its own: a fork costs less than an interpreter. It has no threads."""
    import signal

    listener = socket(AF_UNIX, SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    if posix.fork():
        listener.close()
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        client = socket(fileno=listener._accept()[0])
        if not posix.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve(client, shell)
        client.close()


def serve(client, shell):
    """One session: with its streams, its command and the process of its connection. Tells it how to end, and ends."""
    import contextlib
    import socket
    import struct
    import traceback

    line, streams, _, _ = socket.recv_fds(client, 1 << 17, 3)
    for number, stream in enumerate(streams):
        posix.dup2(stream, number)
        posix.close(stream)
    login, _, _ = struct.unpack("3i", client.getsockopt(SOL_SOCKET, SO_PEERCRED, 12))
    with open(f"/proc/{login}/stat", encoding="ascii", errors="replace") as file:
        connection = int(file.read().rsplit(")", 1)[1].split()[1])
    code = 0
    try:
        shell(line[1:].decode(), connection)
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            sys.stderr.write(code + "\n")
            code = 1
    except Exception:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    with contextlib.suppress(OSError):
        client.send(bytes([code]))
    posix._exit(0)


if __name__ == "__main__":
    hand_over(sys.argv[1])
