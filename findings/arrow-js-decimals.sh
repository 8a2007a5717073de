#!/usr/bin/env bash
# apache-arrow for JavaScript 21.2.0 reads decimals of a file that pyarrow wrote, each differently wrong and none with an error:
# the scale is never applied (1.50 is "150"), a negative decimal64 is its unsigned bits, and decimal256 loses digits (12345 is another number).
# The type is printed as if the scale were an exponent: Decimal[10e+2].
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1
cd "$work"
npm init --yes >/dev/null
npm install --silent apache-arrow@21.2.0
"$work/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

import pyarrow

print("pyarrow", pyarrow.__version__)
types = {32: pyarrow.decimal32, 64: pyarrow.decimal64, 128: pyarrow.decimal128, 256: pyarrow.decimal256}
values = [Decimal("1.50"), Decimal("-2.50"), Decimal("123.45")]
table = pyarrow.table({f"d{bits}": pyarrow.array(values, make(9, 2)) for bits, make in types.items()})
print(table.to_pydict())
with pyarrow.ipc.new_file("decimals.arrow", table.schema) as writer:
    writer.write_table(table)
PYTHON
cat >read.mjs <<'JAVASCRIPT'
import { readFileSync } from "node:fs";
import { tableFromIPC } from "apache-arrow";

console.log("apache-arrow", JSON.parse(readFileSync("node_modules/apache-arrow/package.json", "utf8")).version);
const table = tableFromIPC(readFileSync("decimals.arrow"));
const seen = {};
for (const { name, type } of table.schema.fields) {
  seen[name] = [0, 1, 2].map((row) => String(table.getChild(name).get(row)));
  console.log(name, String(type), seen[name]);
}
const unscaled = ["150", "-250", "12345"];
const same = (a, b) => a.join() === b.join();
const still =
  same(seen.d32, unscaled) &&
  same(seen.d128, unscaled) &&
  seen.d64[1] === String(2n ** 64n - 250n) &&
  !same(seen.d256, unscaled);
process.exit(still ? 0 : 1);
JAVASCRIPT
node read.mjs
