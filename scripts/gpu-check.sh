#!/usr/bin/env bash
# Everything that needs a GPU, in parts that run alone: gpu-check.sh PART... [--out FOLDER]
#   about   the GPU, driver, compilers and Python of this machine
#   build   the plugin and the native tests, with plain cmake: no network, no Node.js
#   cases   every operation case on the GPU against the slow twin, and training beside the CPU
#   bits    1,000 trainings that must have the same bits
#   speed   training steps of real shapes, the same bits there, and the time of each operation: rows for docs/gpu-results.md
#   peer    the same steps in torch and peft: needs a Python with both, python3 or LOWRANK_PEER_PYTHON
#   all     all of these in this order
# A part that fails leaves the others to run. Each has a limit in seconds (LIMIT_cases=120 sets another; the build's is longer on fewer than 16 cores) and
# ends with the end of its log, FOLDER/PART.log (build/gpu-check), and a line "PART: passed" or "PART: failed". The exit code is the number of failed
# parts. FOLDER/rows.md has the rows. --emulated tries the parts without a GPU, in build/gpu-check-emulated: few cases and a tiny shape, on the
# emulation and on torch's CPU. Its rows say nothing of a GPU.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=""
parts=()
emulated=""
while [ $# -gt 0 ]; do
  case "$1" in
    --out) out="$2" && shift ;;
    --emulated) emulated=yes ;;
    about | build | cases | bits | speed | peer) parts+=("$1") ;;
    all) parts=(about build cases bits speed peer) ;;
    *)
      sed -n '2,15s/^# //p' "$0"
      [ "$1" = --help ] && exit 0
      exit 2
      ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || exec "$0" --help
out=${out:-build/gpu-check${emulated:+-emulated}}
mkdir -p "$out"
jobs=$(nproc)
build=build/gpu${emulated:+-emulated}
cases="$build/lowrank_op_cases"
plugin=$PWD/build/Release/liblowrank_cuda.so
[ -z "$emulated" ] || plugin=$PWD/$build/liblowrank_cuda_emulated.so
python=${LOWRANK_PEER_PYTHON:-python3}
# The plugin looks for cuBLASLt among the wheels of this Python.
export VIRTUAL_ENV="${VIRTUAL_ENV:-$("$python" -c 'import sys; print(sys.prefix)' 2>/dev/null)}"

nvcc_path() {
  local path
  for path in "${CUDACXX:-}" "$(command -v nvcc)" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; do
    [ -x "$path" ] && echo "$path" && return
  done
  echo "There is no nvcc: neither CUDACXX nor PATH nor ${CUDA_HOME:-/usr/local/cuda}/bin has one." >&2
  return 1
}

about() {
  uname -srm
  nproc
  git log -1 --format='commit %h of %cs' 2>/dev/null || echo "no git repository"
  if command -v nvidia-smi; then
    nvidia-smi
    nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.free,memory.total,clocks.sm,clocks.max.sm --format=csv
  else
    echo "There is no nvidia-smi."
  fi
  local nvcc
  nvcc=$(nvcc_path 2>&1) && "$nvcc" --version || echo "$nvcc"
  c++ --version | head -1
  cmake --version | head -1
  "$python" - <<'PYTHON' || echo "There is no Python."
import importlib.metadata as found, sys
print("python", sys.version.split()[0], sys.executable)
for name in ("torch", "transformers", "peft", "bitsandbytes", "nvidia-cublas", "nvidia-cublas-cu12"):
    try:
        print(name, found.version(name))
    except found.PackageNotFoundError:
        print(name, "none")
PYTHON
  ldconfig -p 2>/dev/null | grep -i cublasLt || echo "cuBLASLt is not among the system's libraries"
  [ -n "$emulated" ] || nvidia-smi -L
}

build() {
  local nvcc capability include generator=() cuda=()
  command -v ninja >/dev/null && generator=(-G Ninja)
  local targets=(lowrank_op_cases)
  if [ -z "$emulated" ]; then
    nvcc=$(nvcc_path) || return 1
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
    cuda=(-DLOWRANK_CUDA=ON "-DCMAKE_CUDA_COMPILER=$nvcc" "-DLOWRANK_CUDA_ARCHITECTURES=${LOWRANK_CUDA_ARCHITECTURES:-${capability:-90}}")
    # Where the toolkit has no cuBLASLt, torch's wheels may.
    include=$(compgen -G "$VIRTUAL_ENV/lib/python3*/site-packages/nvidia/c*/include/cublasLt.h" | head -1)
    [ -z "$include" ] || cuda+=("-DLOWRANK_CUBLASLT_INCLUDE=$(dirname "$include")")
    targets+=(lowrank_cuda)
  fi
  cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DLOWRANK_ADDON=OFF -DLOWRANK_TESTS=ON "${cuda[@]}" &&
    cmake --build "$build" -j "$jobs" --target "${targets[@]}"
}

# Where there is no GPU the tests say so and skip: here that is a failure.
on_gpu() {
  [ -x "$cases" ] || { echo "There is no $cases: the part build makes it." && return 1; }
  local log
  log=$(mktemp)
  "$cases" "$@" --plugin "$plugin" 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]}
  grep -q "skipped" "$log" && status=1
  rm "$log"
  return "$status"
}

# Processes share the cases; the GPU serves all of them.
cases() {
  local quick=()
  [ -z "$emulated" ] || quick=(--quick)
  on_gpu device --jobs "$((jobs > 8 ? 8 : jobs))" --worst "${quick[@]}"
}
bits() { on_gpu device --op training --jobs "$((jobs > 8 ? 8 : jobs))" --repeats "$([ -n "$emulated" ] && echo 1 || echo 59)"; }  # of seventeen trainings
speed() {
  local quick=()
  [ -z "$emulated" ] || quick=(--quick)
  on_gpu device-speed "${quick[@]}" | tee "$out/speed.txt"
}
peer() {
  "$python" -c 'import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, ("torch", "transformers", "peft"))))' || { echo "$python has no torch, transformers and peft. LOWRANK_PEER_PYTHON names another Python." && return 1; }
  "$python" scripts/bench/gpu_peer.py ${emulated:+--emulated} | tee "$out/peer.txt"
}

# Under the heading of docs/gpu-results.md, whose columns each row must have.
rows() {
  local table='^\| GPU' heading
  heading=$(grep -A 1 -E "$table" docs/gpu-results.md)
  {
    [ -z "$emulated" ] || printf '%s\n\n' "Emulated on a processor: figures that say nothing of a GPU."
    echo "$heading"
    grep -hs "^|" "$out/speed.txt" "$out/peer.txt"
  } >"$out/rows.md"
  awk -F'|' 'FNR == NR { columns = NF; next } /^\|/ && NF != columns { wrong = 1 } END { exit wrong }' <(echo "$heading") "$out/rows.md" || echo "Rows have other columns than docs/gpu-results.md."
}

declare -A limits=([about]=20 [build]=$((jobs < 16 ? 2400 / jobs : 150)) [cases]=90 [bits]=60 [speed]=140 [peer]=70)
# The emulation is slow.
[ -z "$emulated" ] || limits+=([cases]=600 [bits]=600 [speed]=600 [peer]=300)
failed=0
summary=""
run() {
  local part=$1 began=$SECONDS limit="LIMIT_$1" result=passed
  limit=${!limit:-${limits[$part]}}
  printf '\n==== %s (at most %s s)\n' "$part" "$limit"
  # In a process of its own, so that the limit ends all that it started.
  export -f "$part" on_gpu nvcc_path
  export out jobs build cases plugin emulated python
  timeout --kill-after=5 "$limit" bash -uo pipefail -c "$part" >"$out/$part.log" 2>&1
  case $? in
    0) ;;
    124 | 137) result="failed: its time was over" ;;
    *) result="failed" ;;
  esac
  [[ $result == passed ]] || failed=$((failed + 1))
  # The first failures say most, and the end has the sums.
  [[ $result == passed ]] || grep -m 15 -E "^FAIL|error|Error" "$out/$part.log"
  tail -n "$([ "$part" = about ] && echo 60 || echo 45)" "$out/$part.log"
  echo "$part: $result"
  summary+="$part: $result in $((SECONDS - began)) s"$'\n'
}

for each in "${parts[@]}"; do run "$each"; done
printf '\n==== %s%s\n%s' "$out" "${emulated:+ (emulated: no GPU was used)}" "$summary"
if [[ " ${parts[*]} " =~ \ (speed|peer)\  ]]; then rows && cat "$out/rows.md"; fi
exit "$failed"
