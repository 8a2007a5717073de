#!/usr/bin/env bash
# wandb's offline file (run-ID.wandb) looks like a log of LevelDB: blocks of 32 KiB, records of checksum (4 bytes), length (2), type (1), data. The checksum
# is not LevelDB's, though, which is CRC-32C (Castagnoli), masked: it is the plain CRC-32 of zip and PNG, unmasked, over type and data. A reader or writer
# of LevelDB logs from elsewhere takes every record for damaged, or writes records that wandb refuses. The file also begins with 7 bytes of its own.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet wandb==0.31.0 google-crc32c==1.7.1
cd "$work"
WANDB_MODE=offline WANDB_SILENT=true "$work/venv/bin/python" - <<'PYTHON'
import glob
import struct
import sys
import zlib

import google_crc32c
import wandb

run = wandb.init(project="p")
for step in range(3):
    run.log({"loss": 1.0 / (step + 1)})
run.finish()
[file] = glob.glob("wandb/offline-run-*/run-*.wandb")
data = open(file, "rb").read()
print("wandb", wandb.__version__, "header", data[:7])


def masked(crc):
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


at, records, plain, leveldb = 7, 0, 0, 0
while at + 7 <= len(data):
    checksum, length, kind = struct.unpack_from("<IHB", data, at)
    if kind == 0:  # the rest of a block
        at = (at // 32768 + 1) * 32768
        continue
    body = data[at + 6 : at + 7 + length]
    records += 1
    plain += checksum == zlib.crc32(body)
    leveldb += checksum in (masked(google_crc32c.value(body)), google_crc32c.value(body))
    at += 7 + length
print(f"{records} records: {plain} with the plain CRC-32 of type and data, {leveldb} with CRC-32C, masked or not")
sys.exit(0 if records > 3 and plain == records and leveldb == 0 else 1)
PYTHON
