#!/usr/bin/env bash
# Everything that needs a GPU, in parts that run alone: gpu-check.sh PART [OUTPUT_FOLDER]
#   build   the plugin and the native tests, with plain cmake: no network, no Node.js
#   cases   every operation case on the GPU against the slow twin, and training beside the CPU
#   bits    1,000 trainings that must have the same bits
#   speed   training steps beside torch and peft: needs Python with both; rows for docs/gpu-results.md
#   all     all of these in this order
# Each part ends with a line "PART: passed" or "PART: failed"; the exit code is the number of failed parts.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
part="${1:---help}"
out="${2:-build/gpu-check}"
mkdir -p "$out"
build=build/gpu
cases="$build/lowrank_op_cases"
plugin=build/Release/liblowrank_cuda.so

build() {
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DLOWRANK_ADDON=OFF -DLOWRANK_CUDA=ON -DLOWRANK_TESTS=ON \
    -DLOWRANK_CUDA_ARCHITECTURES="${LOWRANK_CUDA_ARCHITECTURES:-90}" &&
    cmake --build "$build" -j "$(nproc)" --target lowrank_cuda lowrank_op_cases
}

# Where there is no GPU the tests say so and skip: here that is a failure.
on_gpu() {
  "$cases" device --plugin "$plugin" "$@" 2>&1 | tee "$out/log" | tail -40
  local status=${PIPESTATUS[0]}
  ! grep -q "skipped" "$out/log" && [ "$status" -eq 0 ]
}

cases() { on_gpu; }
bits() { on_gpu --op training --repeats 112; }  # of nine trainings
speed() {
  "$cases" device-speed --plugin "$plugin" | grep "^|" | tee "$out/rows.md" &&
    python3 scripts/bench/gpu_peer.py | tee -a "$out/rows.md"
}

failed=0
run() {
  local began=$SECONDS
  if "$1"; then echo "$1: passed in $((SECONDS - began)) s"; else
    echo "$1: failed in $((SECONDS - began)) s"
    failed=$((failed + 1))
  fi
}

case "$part" in
  build | cases | bits | speed) run "$part" ;;
  all) for each in build cases bits speed; do run "$each"; done ;;
  *)
    sed -n '2,8s/^# //p' "$0"
    [ "$part" = --help ] && exit 0
    exit 2
    ;;
esac
exit "$failed"
