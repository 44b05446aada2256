"""Verbs over a socket, for tests: Python and its modules are loaded once for a fleet, and not for each of the many things that
tests ask of it. Each request is served by a process of its own, forked from the one that has all of that.

A request is a connection to DIR/serve with the words of the command line as a JSON list in one line. The answer is a line of
JSON, `code` and how many bytes of standard output (`out`) and standard error (`err`) follow, and these.
"""

import concurrent.futures  # noqa: F401 - so that no request has to load it
import json
import os
import select
import signal
import socket
import sys
import traceback

from .place import DIR


def until_the_end_of_input(run):
    """Serves `run(argv)`, which gives an exit code or raises SystemExit, until standard input ends."""
    place = str(DIR / "serve")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen(64)
    # Whoever started this knows by the end of the output that it is served.
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for output in (1, 2):
        os.dup2(nowhere, output)
    # Each one that ends wakes up the wait.
    woken, wakes = socket.socketpair()
    woken.setblocking(False)
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([sys.stdin, listener, woken], [], [])[0]
        if woken in ready:
            woken.recv(4096)
            bury()
        if sys.stdin in ready and not os.read(sys.stdin.fileno(), 4096):
            return
        if listener in ready:
            connection = listener.accept()[0]
            if os.fork() == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.dup2(nowhere, 0)
                for one in (listener, woken, wakes):
                    one.close()
                answer(connection, run)
                os._exit(0)
            connection.close()


def bury():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def answer(connection, run):
    # Files, not pipes: a daemon that a service's reload leaves behind holds nothing up.
    out, err = (os.memfd_create(name) for name in ("out", "err"))
    os.dup2(out, 1)
    os.dup2(err, 2)
    with connection, connection.makefile("rb") as request:
        code = outcome(run, json.loads(request.readline()))
        sys.stdout.flush()
        sys.stderr.flush()
        said = [os.pread(output, os.fstat(output).st_size, 0) for output in (out, err)]
        head = {"code": code, "out": len(said[0]), "err": len(said[1])}
        connection.sendall(json.dumps(head).encode() + b"\n" + b"".join(said))


def outcome(run, argv):
    try:
        return run(argv) or 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return int(end.code or 0)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told
        traceback.print_exc()
        return 1
