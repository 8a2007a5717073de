// Parts of splits: train[:10%], with the bounds and the rounding of Python's datasets. The comparison runs where LOWRANK_PEER_PYTHON
// names a Python that has datasets.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dataFiles, fileRows, partFiles, requireApart, splitParts } from "../../src/data/index.js";
import { partRange } from "../../src/data/split-parts.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";
import { peerPython } from "../support/python.js";

const folder = temporaryFolders();
const goldens = new URL("../goldens-data", import.meta.url).pathname;

/** Begin and end of each part of a split. */
const ranges = (spec: string, rows: number) =>
  splitParts(spec).map((part) => {
    const { from, to } = partRange(part, rows);
    return [part.split, from, to];
  });

test.each<[string, number, unknown[][]]>([
  ["train", 7, [["train", 0, 7]]],
  ["train[:10%]", 120, [["train", 0, 12]]],
  ["train[100:200]", 150, [["train", 100, 150]]],
  ["train[-2:]", 7, [["train", 5, 7]]],
  ["train[:-2]", 7, [["train", 0, 5]]],
  ["train[-1_000:3]", 7, [["train", 0, 3]]],
  // Halves go to the even number.
  ["train[:50%]", 5, [["train", 0, 2]]],
  ["train[:50%]", 7, [["train", 0, 4]]],
  // One sign of percent is for both.
  ["train[10:50%]", 200, [["train", 20, 100]]],
  ["train[:10%](pct1_dropremainder)", 199, [["train", 0, 10]]],
  [
    "train[:10%] + test_sft[-80%:]",
    10,
    [
      ["train", 0, 1],
      ["test_sft", 2, 10],
    ],
  ],
])("%s of %i rows", (spec, rows, expected) => {
  expect(ranges(spec, rows)).toEqual(expected);
});

test.each<[string, number, string]>([
  ["train[:10%", 10, "train[:10% is no part of a split"],
  ["train[5]", 10, "train[5] is no part"],
  ["train[:1%]", 10, "train[:1%] holds no rows: the split train has 10."],
  ["train[8:2]", 10, "holds no rows"],
  ["train[:101%]", 10, "percents are from -100 to 100"],
  ["train[:10%](up)", 10, "the rounding is up, expected closest or pct1_dropremainder"],
  ["train[:10](closest)", 10, "nothing to round without percents"],
  ["train[:10%](pct1_dropremainder)", 99, "a percent of 99 rows has no whole row"],
])("%s of %i rows is refused", async (spec, rows, message) => {
  expect((await errorOf(() => ranges(spec, rows))).message).toContain(message);
});

const { python, reason } = peerPython("datasets");
if (reason) console.log(`skipped: bounds of splits beside Python's datasets (${reason})`);

test.skipIf(reason !== undefined)("datasets has the same bounds", () => {
  const bounds = ["", "0", "1", "3", "-1", "-7", "50", "99", "-99"];
  const slices = bounds.flatMap((from) =>
    bounds.flatMap((to) => [`${from}:${to}`, `${from && `${from}%`}:${to && `${to}%`}`, `${from && `${from}%`}:${to}`]),
  );
  const specs = [...slices.map((slice) => `train[${slice}]`), "train[3%:77%](pct1_dropremainder)"];
  const counts = [1, 5, 7, 10, 99, 101, 250, 1150];
  const script = `import json, sys
from datasets import ReadInstruction
specs, counts = json.load(sys.stdin)
def bounds(spec, count):
    try:
        one, = ReadInstruction.from_spec(spec).to_absolute({"train": count})
        return [one.from_, one.to] if one.from_ < one.to else None
    except ValueError: return None
print(json.dumps([[bounds(spec, count) for count in counts] for spec in specs]))`;
  const { stdout, stderr } = spawnSync(python, ["-c", script], {
    input: JSON.stringify([specs, counts]),
    encoding: "utf8",
  });
  expect(stdout, stderr).not.toBe("");
  const ours = specs.map((spec) =>
    counts.map((count) => {
      try {
        return ranges(spec, count)[0]!.slice(1);
      } catch {
        return null;
      }
    }),
  );
  expect(ours).toEqual(JSON.parse(stdout));
});

describe("the rows of a part", () => {
  const line = (n: number) => `${JSON.stringify({ text: `text ${n}` })}\n`;
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  const file = (from: number, to: number, name: string) =>
    writeIn(folder(), name, numbers(from, to).map(line).join(""));

  test("lie in one file or in several, and are named by their places", async () => {
    const files = [file(0, 4, "a.jsonl"), file(4, 6, "b.jsonl"), file(6, 12, "c.jsonl")];
    const [part] = splitParts("train[25%:-25%]");
    const { files: rows, note } = await partFiles(part!, files, {});
    expect(note).toBe("train[25%:-25%]: rows 4 to 9 of 12");
    const source = fileRows(
      dataFiles([...rows, { file: files[0]!, from: 1, to: 2 }]).files,
      { kind: "text", column: "text" },
      {},
    );
    const read: unknown[] = [];
    for await (const some of source.rows()) read.push(...some.flat());
    expect(read).toEqual([...numbers(3, 9), 1].map((n) => `text ${n}`));
    expect(await source.places([0, 1, 5, 6])).toEqual([
      `${files[0]}, line 4`,
      `${files[1]}, line 1`,
      `${files[2]}, line 3`,
      `${files[0]}, line 2`,
    ]);
  });

  test.each(["plain.parquet", "required.parquet", "file.arrow", "stream.arrows", "dictionary.arrow"])(
    "of %s are counted without reading the texts",
    async (name) => {
      const texts: string[] = JSON.parse(readFileSync(join(goldens, "texts.json"), "utf8"));
      const [part] = splitParts("train[-2:]");
      const { files } = await partFiles(part!, [join(goldens, name)], {});
      expect(files).toEqual([{ file: join(goldens, name), from: texts.length - 2, to: texts.length }]);
    },
  );

  test("are trained on or evaluated on", async () => {
    const whole = file(0, 10, "a.jsonl");
    const part = (from: number, to: number) => [{ file: whole, from, to }];
    requireApart(part(0, 8), part(8, 10));
    expect((await errorOf(() => requireApart(part(0, 9), part(8, 10)))).message).toContain(
      "has rows that are both trained on and evaluated on",
    );
    expect((await errorOf(() => requireApart([whole], part(8, 10)))).code).toBe("E_DATA_FILES");
  });
});
