"""The layer between the release's root and a host's own: users, sshd, sudo, services.

Nothing of this machine that is private or specific shows through: home directories, logs,
ssh and sudo configuration and password hashes are the fleet's own.
"""

import os
import shutil
from pathlib import Path

from . import releases
from . import services as catalogue
from . import tools as replacements
from .place import DIR, HERE, quiet

# name → (uid, login shell or a list to choose from, text of the start-up file that makes it noisy)
USERS = {
    "deploy": (20001, "/bin/bash", None),
    "admin": (20002, "/bin/bash", None),
    "noisy": (20003, "/bin/bash", ".bashrc"),
    "fish": (20004, "/usr/bin/fish", ".config/fish/config.fish"),
    "tcsh": (20005, "/usr/bin/tcsh", ".tcshrc"),
    "zsh": (20006, "/usr/bin/zsh", ".zshenv"),
    "ash": (20007, "/usr/local/bin/ash", None),
}
NOISE = "echo 'welcome to this host'\n"
ADMIN_PASSWORD = "fleet-admin"
SUDOERS = """\
Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
admin ALL=(ALL:ALL) ALL
"""
SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
PermitRootLogin prohibit-password
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 200
LogLevel VERBOSE
Banner /etc/issue.net
Subsystem sftp internal-sftp
"""
# Units that need a machine of their own, a terminal, or time.
MASKED = ["getty.target", "console-getty.service", "dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
          "sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "systemd-random-seed.service", "timers.target"]


def build(layer, st):
    """Fills `layer` for the fleet of this state; its directories take owner and mode from the release's."""
    services, init, base = st["services"], st["init"], releases.root(st["release"])
    tree = Tree(layer, base)
    tree.fresh("/root", 0o700)
    for path in ("/home", "/mnt", "/etc/ssh", "/etc/sudoers.d", "/var/log"):
        tree.fresh(path)
    if busybox := releases.which(base, "busybox"):
        tree.link("/usr/local/bin/ash", busybox)
    accounts(tree)
    tree.write("/etc/sudoers", SUDOERS + "".join(f"{u} ALL=(ALL:ALL) NOPASSWD: ALL\n" for u in USERS if u != "admin"), 0o440)
    tree.write("/etc/doas.conf", "permit nopass deploy\npermit admin\n", 0o600)
    tree.write("/etc/ssh/sshd_config", SSHD if init == "plain" else SSHD.replace("UsePAM no", "UsePAM yes"))
    tree.write("/etc/issue.net", "A test host. Nobody is watched.\n")
    tree.write("/etc/resolv.conf", "")
    tree.write("/etc/ld.so.preload", "")
    tree.write("/etc/environment", "")
    replacements.install(tree, base, st["tools"], st["shell"])
    if init == "systemd":
        units(tree, services)
    tree.write("/opt/fleet/init", (HERE / "init.sh").read_text(), 0o755)
    for name in catalogue.known():
        # What this machine has of them is no host's that does not run them.
        if name not in services and "apart" in (facts := catalogue.load(name)):
            for path in facts["replaces"]:
                if (base / path.lstrip("/")).is_dir():
                    tree.fresh(path)
    for name in services:
        for path in catalogue.load(name)["replaces"]:
            # What was installed into the layer itself goes as well.
            shutil.rmtree(f"{layer}{path}", ignore_errors=True)
            tree.fresh(path)
        source = HERE / "services" / name
        for action in ("start", "reload"):
            tree.write(f"/opt/fleet/services/{name}/{action}", (source / action).read_text(), 0o755)
        tree.copy(source / "root")
        if (newer := catalogue.load(name).get("newer")) and releases.is_from(base, newer["package"], newer["from"]):
            tree.copy(source / newer["root"])
        if program := catalogue.carried(name):
            shutil.copy2(program, tree.directory("/usr/local/bin") / program.name)
        catalogue.install_pair(layer, name, "gen1")


def units(tree, services):
    """What systemd starts: sshd and the services by Debian's own units, and nothing that the machine starts."""
    system = "/etc/systemd/system"
    for path in (system, *(f"/etc/rc{level}.d" for level in "0123456S")):
        tree.fresh(path)
    tree.link(f"{system}/default.target", "/lib/systemd/system/multi-user.target")
    for unit in ["ssh", *(catalogue.load(s)["unit"] for s in services)]:
        tree.link(f"{system}/multi-user.target.wants/{unit}.service", f"/lib/systemd/system/{unit}.service")
    for unit in MASKED:
        tree.link(f"{system}/{unit}", "/dev/null")
    tree.write("/etc/fstab", "")


def accounts(tree):
    passwd = [l for l in tree.read("/etc/passwd").splitlines() if l.split(":")[0] not in USERS]
    group = [l for l in tree.read("/etc/group").splitlines() if l.split(":")[0] not in USERS]
    keys = (DIR / "ssh/id_ed25519.pub").read_text()
    tree.write("/root/.ssh/authorized_keys", keys, 0o600)
    for user, (uid, shell, noisy) in USERS.items():
        # The shell of a user whose shell is not installed is sh: the login works, the name is the same.
        if not os.path.lexists(f"{tree.base}{shell}") and not (tree.root / shell[1:]).is_symlink():
            shell = "/bin/sh"
        passwd.append(f"{user}:x:{uid}:{uid}::/home/{user}:{shell}")
        group.append(f"{user}:x:{uid}:")
        tree.write(f"/home/{user}/.ssh/authorized_keys", keys, 0o600)
        if noisy:
            tree.write(f"/home/{user}/{noisy}", NOISE)
        home = tree.root / "home" / user
        for path in [home, *home.rglob("*")]:
            os.chown(path, uid, uid)
        (home / ".ssh").chmod(0o700)
    admin = quiet("openssl", "passwd", "-6", "-salt", "fleet", "-stdin", input=ADMIN_PASSWORD + "\n").strip()
    tree.write("/etc/passwd", "\n".join(passwd) + "\n")
    tree.write("/etc/group", "\n".join(group) + "\n")
    hashes = {"admin": admin}
    names = [l.split(":")[0] for l in passwd]
    tree.write("/etc/shadow", "".join(f"{n}:{hashes.get(n, '*')}:19000:0:99999:7:::\n" for n in names), 0o640)
    tree.write("/etc/gshadow", "".join(f"{l.split(':')[0]}:*::\n" for l in group), 0o640)


class Tree:
    """A directory that will be a layer over the files of `base`."""

    def __init__(self, root, base):
        self.root = Path(root)
        self.base = base
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o755)

    def directory(self, path):
        """The directory, made with the owner and mode that it has below."""
        here = self.root
        for part in Path(path).parts[1:]:
            here = here / part
            if not here.exists():
                here.mkdir()
                there = self.base / here.relative_to(self.root)
                if there.is_dir():
                    st = there.stat()
                    os.chown(here, st.st_uid, st.st_gid)
                    here.chmod(st.st_mode & 0o7777)
        return here

    def fresh(self, path, mode=None):
        """A directory that hides what is in it below."""
        here = self.directory(path)
        os.setxattr(here, "trusted.overlay.opaque", b"y")
        if mode is not None:
            here.chmod(mode)

    def write(self, path, text, mode=0o644):
        here = self.directory(Path(path).parent) / Path(path).name
        here.write_text(text)
        here.chmod(mode)

    def read(self, path):
        """A file's text in the layer, or else below it."""
        here = self.root / path.lstrip("/")
        return (here if here.exists() else self.base / path.lstrip("/")).read_text()

    def link(self, path, target):
        here = self.directory(Path(path).parent) / Path(path).name
        here.unlink(missing_ok=True)
        here.symlink_to(target)

    def copy(self, source):
        for path in sorted(source.rglob("*")):
            where = "/" + str(path.relative_to(source))
            if path.is_symlink():
                self.link(where, os.readlink(path))
            elif path.is_dir():
                self.directory(where)
            else:
                self.write(where, path.read_text(), 0o755 if os.access(path, os.X_OK) else 0o644)
