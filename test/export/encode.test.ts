// Numbers as ggml stores them, beside the gguf package's quantiser.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { canEncode, type EncodedDtype, encode } from "../../src/model/index.js";
import { temporaryFolders } from "../support/folders.js";
import { peerPython, printedByPython } from "../support/python.js";

const { python, reason } = peerPython("gguf");
if (reason) console.log(`skipped: encoders beside the gguf package (${reason})`);

const newFolder = temporaryFolders();

/** Numbers of every size that a weight may have, with blocks of zeros, of one number and of ties. */
function numbers(): Float32Array {
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const values = new Float32Array(64 * 256);
  for (let i = 0; i < values.length; i++)
    values[i] = (random() + random() + random()) * 10 ** (Math.floor(i / 1024) - 9);
  values.fill(0, 256, 512);
  values.fill(-0.75, 512, 768);
  for (let i = 768; i < 1024; i++) values[i] = ((i % 17) - 8) / 2;
  return values;
}

describe.skipIf(reason !== undefined)("beside the gguf package", () => {
  test.each<[EncodedDtype, string]>([
    ["f16", "F16"],
    ["bf16", "BF16"],
    ["q8_0", "Q8_0"],
    ["q4_0", "Q4_0"],
  ])("%s has its bits", async (dtype, name) => {
    const folder = newFolder();
    const values = numbers();
    writeFileSync(join(folder, "in"), values);
    const script = `import gguf, numpy
values = numpy.fromfile("${join(folder, "in")}", dtype=numpy.float32).reshape(-1, 256)
gguf.quants.quantize(values, gguf.GGMLQuantizationType.${name}).tofile("${join(folder, "out")}")`;
    await printedByPython(python!, script, process.env);
    expect(Buffer.from(encode(dtype, values)).equals(readFileSync(join(folder, "out")))).toBe(true);
  });

  test("q4_k is read by it, and is nearer than the plain scale and offset of each group", async () => {
    const folder = newFolder();
    const values = numbers();
    writeFileSync(join(folder, "in"), encode("q4_k", values));
    const script = `import gguf, numpy
bytes = numpy.fromfile("${join(folder, "in")}", dtype=numpy.uint8).reshape(-1, 144)
gguf.quants.dequantize(bytes, gguf.GGMLQuantizationType.Q4_K).astype(numpy.float32).tofile("${join(folder, "out")}")`;
    await printedByPython(python!, script, process.env);
    const bytes = readFileSync(join(folder, "out"));
    const found = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    expect(found).toHaveLength(values.length);
    let better = 0;
    for (let block = 8; block < 64; block++) {
      let [error, plain] = [0, 0];
      for (let from = block * 256; from < (block + 1) * 256; from += 32) {
        const group = values.subarray(from, from + 32);
        const [least, most] = [Math.min(0, ...group), Math.max(...group)];
        const scale = (most - least) / 15;
        for (const [i, value] of group.entries()) {
          error += (found[from + i]! - value) ** 2;
          plain += (Math.round((value - least) / scale) * scale + least - value) ** 2;
        }
      }
      if (error < plain) better++;
    }
    // Scales and offsets have 6 bits each, and the search weighs large numbers more.
    expect(better).toBeGreaterThan(28);
    expect(found.subarray(256, 512).every((value) => value === 0)).toBe(true);
  });
});

test.each<[number, number]>([
  [65504, 0x7bff],
  [65520, 0x7c00],
  [-1e10, 0xfc00],
  [2 ** -24, 1],
  [2 ** -25, 0],
  [1.5 * 2 ** -24, 2],
  [1 + 2 ** -11, 0x3c00],
  [1 + 3 * 2 ** -11, 0x3c02],
])("%d as f16", (value, bits) => {
  const bytes = encode("f16", Float32Array.of(value));
  expect(bytes[0]! | (bytes[1]! << 8)).toBe(bits);
});

test("whole blocks alone are encoded", () => {
  expect([32, 256, 576].map((columns) => canEncode("q4_k", columns))).toEqual([false, true, false]);
  expect(canEncode("q8_0", 576)).toBe(true);
});
