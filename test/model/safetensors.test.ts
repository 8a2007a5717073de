import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readSafetensorsHeader, writeSafetensors } from "../../src/model/index.js";
import { repeatedNames } from "../../src/model/repeated.js";
import { errorOf, rawSafetensors, temporaryFolders, writeIn } from "../support/folders.js";
import { goldenNames, goldensFolder, readTensors } from "../support/golden.js";

const folder = temporaryFolders();
const f32 = (shape: number[], begin: number, end: number) => ({ dtype: "F32", shape, data_offsets: [begin, end] });

describe("files of the reference", () => {
  test.each(goldenNames())("%s: names, shapes and bytes", (name) => {
    const file = join(goldensFolder, name, "reference.safetensors");
    const bytes = readFileSync(file);
    const { tensors, fileBytes } = readSafetensorsHeader(file);
    expect(fileBytes).toBe(bytes.length);
    const found = new Map(
      tensors.map(({ name, shape, begin, end }) => [
        name,
        { shape, data: new Float32Array(Uint8Array.from(bytes.subarray(begin, end)).buffer) },
      ]),
    );
    const expected = readTensors(file);
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, tensor] of expected) expect(found.get(name)).toEqual(tensor);
  });

  test("written again, a file of the reference is the same file", async () => {
    const file = join(goldensFolder, "stored-bf16", "model.safetensors");
    const bytes = readFileSync(file);
    const { tensors, metadata } = readSafetensorsHeader(file);
    const copy = join(folder(), "copy.safetensors");
    const entries = tensors.map(({ begin, end, ...tensor }) => ({
      ...tensor,
      bytes: end - begin,
      data: async () => bytes.subarray(begin, end),
    }));
    await writeSafetensors(copy, entries.reverse(), metadata);
    expect(readFileSync(copy).equals(bytes)).toBe(true);
  });
});

test("large elements come first, the header ends at a multiple of 8", async () => {
  const file = join(folder(), "mixed.safetensors");
  const tensor = (name: string, dtype: string, bytes: number) => ({
    name,
    dtype,
    shape: [3],
    bytes,
    data: new Uint8Array(bytes).fill(name.charCodeAt(0)),
  });
  const tensors = [tensor("a", "U8", 3), tensor("z", "F32", 12), tensor("b", "F32", 12), tensor("h", "BF16", 6)];
  await writeSafetensors(file, tensors, { format: "pt", ä: "ö" });
  const header = readSafetensorsHeader(file);
  expect(header.tensors.map(({ name }) => name)).toEqual(["b", "z", "h", "a"]);
  expect(header.dataBegin % 8).toBe(0);
  expect(header.metadata).toEqual({ format: "pt", ä: "ö" });
  const bytes = readFileSync(file);
  for (const { name, begin, end } of header.tensors) {
    expect([...bytes.subarray(begin, end)]).toEqual(Array(end - begin).fill(name.charCodeAt(0)));
  }
});

test.each([
  ["escapes", String.raw`{"a\\\"b\u00e9":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 'a\\"b\u00e9'],
  ["white space", '\n{ "a" :\t{"dtype" : "F32", "shape":[ ] ,\r\n"data_offsets":[0, 4]} } \n', "a"],
  ["brackets in a name", '{"a}]{[":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', "a}]{["],
  ["letters beyond ASCII", '{"naïve 🙂":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', "naïve 🙂"],
])("a header with %s", (_, header, name) => {
  const file = writeIn(folder(), "odd", rawSafetensors(header, 4));
  expect(readSafetensorsHeader(file).tensors).toMatchObject([{ name, dtype: "F32", shape: [] }]);
});

test("a file without tensors", async () => {
  const file = join(folder(), "none.safetensors");
  await writeSafetensors(file, [], {});
  expect(readSafetensorsHeader(file).tensors).toEqual([]);
});

describe("a write that fails names file and cause", () => {
  const tensor = { name: "a", dtype: "U8", shape: [1], bytes: 1, data: new Uint8Array(1) };
  test.each([
    ["/dev/full", /\/dev\/full cannot be written: no space left on the device.*ENOSPC/],
    ["/nowhere/a.safetensors", /\/nowhere\/a\.safetensors cannot be written: there is no such file or folder/],
  ])("%s", async (file, message) => {
    const error = await errorOf(() => writeSafetensors(file, [tensor], {}));
    expect(error.code).toBe("E_WRITE");
    expect(error.message).toMatch(message);
  });

  test("data of another size than announced", async () => {
    const wrong = { ...tensor, data: new Uint8Array(2) };
    const error = await errorOf(() => writeSafetensors(join(folder(), "x"), [wrong], {}));
    expect(error.message).toContain("tensor a has 2 bytes, expected 1");
  });
});

describe("hostile headers", () => {
  const huge = Buffer.alloc(16);
  huge.writeBigUInt64LE(2n ** 63n);
  const long = Buffer.alloc(16);
  long.writeBigUInt64LE(1000n);
  const cases: [string, Buffer, RegExp][] = [
    ["no bytes", Buffer.alloc(0), /has 0 bytes, too few/],
    ["half a length", Buffer.alloc(5), /has 5 bytes, too few/],
    ["length of 2^63", huge, /9223372036854775808 bytes, more than the allowed 100000000/],
    ["length beyond the file", long, /should end at byte 1008, but the file has 16 bytes: it is cut short/],
    ["no JSON", rawSafetensors("{nope", 0), /header is not valid JSON/],
    ["a comma too many", rawSafetensors('{"a":1,}', 0), /"a": its entry is the number 1/],
    ["no colon", rawSafetensors('{"a" 1}', 0), /not valid JSON \(a colon is missing after "a"\)/],
    ["no value", rawSafetensors('{"a":}', 0), /not valid JSON/],
    ["no end", rawSafetensors('{"__metadata__":{"a":"b"}', 0), /not valid JSON \(the last brace is missing\)/],
    ["no end of a name", rawSafetensors('{"a', 0), /not valid JSON \(a text has no end\)/],
    ["no end of an entry", rawSafetensors('{"a":{"dtype":"F32"', 0), /not valid JSON/],
    ["a comma at the end", rawSafetensors('{"__metadata__":{},}', 0), /not valid JSON \(a name in quotes is missing\)/],
    ["something after it", rawSafetensors('{} {"a":1}', 0), /not valid JSON \(something follows the last brace\)/],
    [
      "an entry within another",
      rawSafetensors('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":[[}]}', 4),
      /not valid JSON/,
    ],
    [
      "a name twice, spelled otherwise",
      rawSafetensors(
        '{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}',
        8,
      ),
      /"a" stands twice/,
    ],
    [
      "no UTF-8",
      Buffer.concat([rawSafetensors("", 0).fill(2, 0, 1), Buffer.from([0xff, 0xfe])]),
      /not valid JSON \(it is no UTF-8/,
    ],
    ["a list", rawSafetensors("[]", 0), /header is an array, expected an object/],
    ["null", rawSafetensors("null", 0), /header is null, expected an object/],
    ["a tensor that is a number", rawSafetensors({ a: 3 }, 0), /tensor "a": its entry is the number 3/],
    ["no dtype", rawSafetensors({ a: { shape: [1], data_offsets: [0, 4] } }, 4), /"a": dtype is nothing/],
    ["a negative size", rawSafetensors({ a: f32([-1], 0, 4) }, 4), /"a": shape is \[-1\], expected/],
    ["half a size", rawSafetensors({ a: f32([1.5], 0, 6) }, 6), /"a": shape is \[1.5\], expected/],
    ["a shape that is no list", rawSafetensors({ a: { ...f32([], 0, 4), shape: 1 } }, 4), /"a": shape is 1, expected/],
    ["too many elements", rawSafetensors({ a: f32([2 ** 40, 2 ** 40], 0, 4) }, 4), /"a": shape .* too many elements/],
    ["offsets in reverse", rawSafetensors({ a: f32([1], 4, 0) }, 4), /"a": data_offsets are \[4,0\], expected/],
    ["negative offsets", rawSafetensors({ a: f32([1], -4, 0) }, 4), /"a": data_offsets are \[-4,0\], expected/],
    [
      "three offsets",
      rawSafetensors({ a: { ...f32([1], 0, 4), data_offsets: [0, 4, 8] } }, 4),
      /data_offsets are \[0,4,8\]/,
    ],
    ["no offsets", rawSafetensors({ a: { dtype: "F32", shape: [1] } }, 4), /"a": data_offsets are undefined/],
    [
      "another size than the dtype's",
      rawSafetensors({ a: f32([2], 0, 4) }, 4),
      /occupies 4 bytes, expected 8 for F32 \[2\]/,
    ],
    ["overlapping tensors", rawSafetensors({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8), /"b" overlaps/],
    [
      "a gap",
      rawSafetensors({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12),
      /4 bytes before tensor "b" belong to no tensor/,
    ],
    ["a gap at the start", rawSafetensors({ a: f32([1], 4, 8) }, 8), /4 bytes before tensor "a"/],
    [
      "a cut file",
      rawSafetensors({ a: f32([4], 0, 16) }, 7),
      /is cut short: it has \d+ bytes, expected \d+. Download it again/,
    ],
    ["bytes after the end", rawSafetensors({ a: f32([1], 0, 4) }, 9), /5 bytes too many/],
    [
      "a name twice",
      rawSafetensors(`{"a":${JSON.stringify(f32([1], 0, 4))},"\\u0061":${JSON.stringify(f32([1], 0, 4))}}`, 4),
      /"a" stands twice/,
    ],
    ["metadata that is no text", rawSafetensors({ __metadata__: { a: 1 } }, 0), /__metadata__ in the header must be/],
    ["metadata that is null", rawSafetensors({ __metadata__: null }, 0), /__metadata__ in the header must be/],
  ];
  test.each(cases)("%s", async (_, bytes, message) => {
    const file = writeIn(folder(), "bad.safetensors", bytes);
    const error = await errorOf(() => readSafetensorsHeader(file));
    expect(error.code).toBe("E_SAFETENSORS");
    expect(error.message).toMatch(message);
    expect(error.message).toContain(file);
    expect(error.where).toBe(file);
  });

  test("every shorter file is refused", async () => {
    const whole = rawSafetensors({ a: f32([3], 0, 12), b: f32([1], 12, 16) }, 16);
    const file = join(folder(), "cut.safetensors");
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(file, whole.subarray(0, length));
      expect((await errorOf(() => readSafetensorsHeader(file))).code).toBe("E_SAFETENSORS");
    }
    writeFileSync(file, whole);
    expect(readSafetensorsHeader(file).tensors.length).toBe(2);
  });

  test("names that JavaScript objects have already are tensors like others", () => {
    const header = `{"__proto__":${JSON.stringify(f32([1], 0, 4))},"constructor":${JSON.stringify(f32([1], 4, 8))}}`;
    const file = writeIn(folder(), "names.safetensors", rawSafetensors(header, 8));
    expect(readSafetensorsHeader(file).tensors.map(({ name }) => name)).toEqual(["__proto__", "constructor"]);
  });

  test("a type of a later version of the format stands in nobody's way", () => {
    const entry = { dtype: "F4", shape: [3], data_offsets: [0, 2] };
    const file = writeIn(folder(), "later.safetensors", rawSafetensors({ a: entry }, 2));
    expect(readSafetensorsHeader(file).tensors[0]).toMatchObject({ dtype: "F4", shape: [3] });
  });

  test.each([
    ["missing", "E_FILE_MISSING", /there is no such file/],
    ["", "E_FILE", /it is a folder, not a file/],
  ])("file '%s'", async (name, code, message) => {
    const error = await errorOf(() => readSafetensorsHeader(join(folder(), name)));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

test("names that stand more than once are told from others of their hash", () => {
  // Both of the long names have one hash.
  const list = ["a", "t36466995", "b", "t45589683", "a", "", "a", "b"].map((name) => ({ name }));
  expect([...repeatedNames(list)]).toEqual(["a", "b"]);
  expect(repeatedNames(list.slice(0, 4)).size).toBe(0);
});

test("a header of very many tensors takes time in proportion", () => {
  const count = 300_000;
  const entries = Array.from({ length: count }, (_, i) => [
    `t${i}`,
    { dtype: "U8", shape: [1], data_offsets: [i, i + 1] },
  ]);
  const file = writeIn(folder(), "many", rawSafetensors(Object.fromEntries(entries), count));
  const before = process.cpuUsage();
  expect(readSafetensorsHeader(file).tensors).toHaveLength(count);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(2);
});
