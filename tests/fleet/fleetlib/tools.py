"""What a host has in place of its release's own tools, shell and SSH server."""

from .place import fail, run
from .releases import files, which

TOOLS = ["own", "busybox", "toybox", "uutils", "sudo-rs"]
SHELLS = ["own", "bash", "busybox", "mksh", "zsh"]
SSHDS = ["openssh", "dropbear"]
# The packages whose programs BusyBox and toybox replace where they have one of the name.
REPLACED = "coreutils findutils grep sed mawk gawk diffutils gzip tar procps util-linux mount".split()
# The fleet's own start-up files use these with options that the others do not have.
SPARED = ["setpriv", "su"]


def install(tree, base, tools, shell):
    """Puts links over the release's own."""
    if shell == "own" and tools == "busybox":
        shell = "busybox"
    if shell != "own":
        over(tree, base, "/bin/sh", needed(base, shell))
    if tools in ("busybox", "toybox"):
        box = needed(base, tools)
        listed = [box, "--list"] if tools == "busybox" else [box]
        applets = set(run("chroot", base, *listed, text=True, capture_output=True).stdout.split())
        for path in sorted({path for package in REPLACED for path in files(base, package)}):
            name = path.rpartition("/")[2]
            if path.rpartition("/")[0].endswith("bin") and name in applets and name not in SPARED:
                over(tree, base, path, box)
    elif tools == "uutils":
        rust = {path.rpartition("/")[2]: path for path in files(base, "rust-coreutils") if "/coreutils/" in path}
        if not rust:
            fail("rust-coreutils is not installed there")
        for path in files(base, "coreutils"):
            if path.rpartition("/")[0].endswith("bin") and path.rpartition("/")[2] in rust:
                over(tree, base, path, rust[path.rpartition("/")[2]])
    elif tools == "sudo-rs":
        for name in ("sudo", "su"):
            over(tree, base, f"/usr/bin/{name}", needed(base, f"{name}-rs"))


def needed(base, program):
    return which(base, program) or fail(f"{program} is not installed there")


def over(tree, base, path, target):
    """A link in place of a program, in the directory where the release really has it."""
    directory, _, name = path.rpartition("/")
    if (base / directory[1:]).is_symlink():
        directory = f"/usr{directory}"
    tree.link(f"{directory}/{name}", target)
