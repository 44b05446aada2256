"""Runs Ansible's own programs, one request a line until its input ends, without paying for their start each time.

A request is {"program": "ansible-inventory", "args": [...], "cwd": "..."}, the answer
{"code": 0, "stdout": "...", "stderr": "..."}. Each runs in a fork of its own. The first line tells Ansible's version and the
Python for its modules.
"""

import atexit
import gc
import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings

sys.path.append(os.path.dirname(__file__) + "/../../common")
import zygote  # noqa: E402

# Ansible looks at it while it is imported; the Python of its modules begins before anything is.
home = os.environ["HOME"] = tempfile.mkdtemp()
python = zygote.serve(home)
atexit.register(shutil.rmtree, home)

from ansible.cli.adhoc import AdHocCLI  # noqa: E402
from ansible.cli.inventory import InventoryCLI  # noqa: E402
from ansible.cli.playbook import PlaybookCLI  # noqa: E402
from ansible.plugins import loader  # noqa: E402
from ansible.release import __version__  # noqa: E402

# Imported here so that no fork does it again.
import ansible.executor.playbook_executor  # noqa: E402, F401
import ansible.inventory.manager  # noqa: E402, F401
import ansible.vars.manager  # noqa: E402, F401

PROGRAMS = {"ansible": AdHocCLI, "ansible-inventory": InventoryCLI, "ansible-playbook": PlaybookCLI}
# Not `vars`: what is loaded of them before a run counts as all that is enabled.
PLUGINS = "action callback connection filter inventory lookup shell strategy test"


def warm_up():
    """Reads what every run reads of Ansible's own plugins, above all their documentation, which is YAML."""
    loader.init_plugin_loader()
    # Each fork does so too.
    warnings.filterwarnings("ignore", "AnsibleCollectionFinder has already been configured")
    for kind in PLUGINS.split():
        for _ in getattr(loader, kind + "_loader").all(class_only=True):
            pass
    # Nothing of this is garbage; forks need not copy it to find that out.
    gc.collect()
    gc.freeze()


def run(request, out, err):
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.chdir(request["cwd"])
    args = [request["program"], *request["args"]]
    sys.argv = args
    code = 0
    try:
        PROGRAMS[request["program"]].cli_executor(args)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 250
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main():
    # Standard output belongs to the answers.
    answers = os.fdopen(os.dup(1), "w")
    warm_up()
    print(json.dumps({"version": __version__, "python": python}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                run(request, out, err)
            _, status = os.waitpid(child, 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
            for name, file in (("stdout", out), ("stderr", err)):
                file.seek(0)
                answer[name] = file.read().decode(errors="replace")
            print(json.dumps(answer), file=answers, flush=True)


main()
