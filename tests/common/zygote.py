"""The Python that runs Ansible's modules: each in a fork of a process that has imported the standard library, with what a
module before it has compiled. Nothing of Ansible is shared but that: each module runs the code that it brought.

The program `python` hands arguments, environment, directory and files over, and ends as the module does.

  zygote.py DIRECTORY      serves in the background as long as the machine is up; `python` is in that directory
"""

import atexit
import gc
import json
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import traceback
import types
import zipimport
from _imp import _fix_co_filename, source_hash

# What modules import, as far as it takes time.
import argparse, ast, base64, ctypes, dataclasses, datetime, decimal, getpass, glob, grp, hashlib, inspect  # noqa: E401, F401
import ipaddress, locale, logging, platform, pkgutil, pwd, queue, selectors, shlex, shutil, ssl, subprocess  # noqa: E401, F401
import syslog, tempfile, typing, urllib.parse, urllib.request, uuid, zipfile  # noqa: E401, F401

PYTHON = """#!{own} -IS
import array, json, os, socket, sys
itself = lambda: os.execv({own!r}, [{own!r}, *sys.argv[1:]])
if sys.argv[1:] and (len(sys.argv) > 2 or not os.path.isfile(sys.argv[1])):
    itself()
server = socket.socket(socket.AF_UNIX)
try:
    server.connect({place!r})
except PermissionError:
    # Of another user.
    itself()
request = json.dumps([*(sys.argv[1:] or [None]), os.getcwd(), os.umask(0), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
server.sendall(request)
os._exit((server.recv(1) or b"\\xff")[0])
"""


def kept(directory, compile_source):
    """Stands for what compiles the sources in zips: it looks for the code in a directory first, and leaves it there."""

    def code_of(path, source):
        # No two sources have hash and length alike by chance.
        name = f"{directory}/{source_hash(0, source).hex()}-{len(source)}"
        try:
            with open(name, "rb") as file:
                code = marshal.load(file)
            _fix_co_filename(code, path)
        except FileNotFoundError:
            code = compile_source(path, source)
            with open(f"{name}.{os.getpid()}", "wb") as file:
                marshal.dump(code, file)
            os.rename(file.name, name)
        return code

    return code_of


def run(connection):
    """Becomes the module that a `python` asks for."""
    head, files, _, _ = socket.recv_fds(connection, 4, 3)
    request = connection.makefile("rb").read(int.from_bytes(head, "big"))
    program, directory, umask, environment = json.loads(request)
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(directory)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [program or ""]
    sys.path[0] = os.path.dirname(sys.argv[0])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 0
    try:
        if program is None:
            run_input()
        else:
            runpy.run_path(program, run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([code & 255]))
    os._exit(code)


def run_input():
    """Ansible that pipelines gives a module as the standard input."""
    code = compile(sys.stdin.buffer.read(), "<stdin>", "exec")
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(code, vars(main))


def serve(home, alone=False):
    """Goes on in a fork that ends with this process, unless it is to stay `alone`; the path of `python`."""
    python, place, compiled = (f"{home}/{name}" for name in ("python", "zygote", "compiled"))
    with open(python, "w") as file:
        file.write(PYTHON.format(own=sys.executable, place=place))
    os.chmod(python, 0o755)
    os.mkdir(compiled)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen(128)
    until, held = os.pipe()
    if os.fork() != 0:
        os.close(until)
        return python
    if alone:
        os.setsid()
    else:
        os.close(held)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    zipimport._compile_source = kept(compiled, zipimport._compile_source)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while until not in select.select([listener, until], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            run(connection)
        connection.close()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1], alone=True)
