// Damages files, the same way for the same seed.

/** mulberry32. @returns a function that gives a whole number below its argument */
export function generator(seed) {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const pick = (list, random) => list[random(list.length)];

/** Changes of bytes, whatever they mean. */
const BYTES = {
  bits(bytes, random) {
    for (let n = 1 + random(3); n > 0; n--) bytes[random(bytes.length)] ^= 1 << random(8);
    return bytes;
  },
  cut: (bytes, random) => bytes.subarray(0, random(bytes.length)),
  length(bytes, random) {
    const values = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, bytes.length, random(2 ** 31)];
    bytes.writeUInt32LE(pick(values, random), random(Math.max(1, bytes.length - 4)));
    return bytes;
  },
  splice(bytes, random) {
    const from = random(bytes.length);
    bytes.copy(bytes, random(bytes.length), from, from + 1 + random(64));
    return bytes;
  },
  remove(bytes, random) {
    const at = random(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(16))]);
  },
  repeat(bytes, random) {
    const at = random(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - random(256)))]);
  },
  empty: () => Buffer.alloc(0),
};

const WORDS = [
  "",
  "\u0000",
  "\ufeff",
  "\ud800",
  "ÿ",
  "\r\n",
  "\n\n",
  '"',
  "'",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "- ",
  "#",
  "\t",
  "1e999",
  "-1",
  "NaN",
  "null",
  "../../etc/passwd",
  "$(x)",
  "€".repeat(300),
];

/** Changes of texts. */
const TEXTS = {
  insert(bytes, random) {
    const at = random(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(WORDS, random)), bytes.subarray(at)]);
  },
  swap_lines(bytes, random) {
    const lines = bytes.toString("latin1").split("\n");
    const [a, b] = [random(lines.length), random(lines.length)];
    [lines[a], lines[b]] = [lines[b], lines[a]];
    return Buffer.from(lines.join("\n"), "latin1");
  },
  utf16: (bytes) => Buffer.from(`\ufeff${bytes.toString()}`, "utf16le"),
};

const STRANGE = [
  null,
  true,
  false,
  0,
  -1,
  1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e308,
  0.5,
  "",
  "x",
  "\u0000",
  [],
  {},
  [[]],
  [null],
  { a: 1 },
  "9".repeat(400),
  ["F32"],
  [0],
  [2 ** 40, 2 ** 40],
  [-1, 4],
];

/** Every place of a JSON value: its holder and key. */
function places(value, found = []) {
  if (value === null || typeof value !== "object") return found;
  for (const key of Object.keys(value)) {
    found.push([value, key]);
    // Long tables are alike from end to end.
    if (found.length < 4000) places(value[key], found);
  }
  return found;
}

/** A change of a JSON value. */
function changeJson(value, random) {
  for (let n = 1 + random(2); n > 0; n--) {
    const all = places(value);
    if (all.length === 0) return value;
    const [holder, key] = pick(all, random);
    const way = random(5);
    if (way === 0) delete holder[key];
    else if (way === 1) {
      const [other, name] = pick(all, random);
      // Through text: a value may not hold itself.
      holder[key] = JSON.parse(JSON.stringify(other[name] ?? null));
    } else if (way === 2 && !Array.isArray(holder)) {
      holder[`${key}${pick(WORDS, random)}`] = holder[key];
      delete holder[key];
    } else if (way === 3 && typeof holder[key] === "number")
      holder[key] = pick([holder[key] + 1, -holder[key], holder[key] * 1e6, holder[key] / 3], random);
    else holder[key] = structuredClone(pick(STRANGE, random));
  }
  return value;
}

const JSON_TEXTS = {
  json(bytes, random) {
    return Buffer.from(JSON.stringify(changeJson(JSON.parse(bytes.toString()), random)));
  },
  deep(_, random) {
    return Buffer.from(pick(["[", '{"a":'], random).repeat(20_000));
  },
  twice(bytes) {
    const text = bytes.toString();
    return Buffer.from(`${text.trimEnd().slice(0, -1)},${text.trimStart().slice(1)}`);
  },
};

/** Changes of a safetensors file: the length of its header, or the header. */
const SAFETENSORS = {
  header(bytes, random) {
    const length = Number(bytes.readBigUInt64LE(0));
    const header = Buffer.from(
      JSON.stringify(changeJson(JSON.parse(bytes.subarray(8, 8 + length).toString()), random)),
    );
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(header.length));
    return Buffer.concat([size, header, bytes.subarray(8 + length)]);
  },
  header_length(bytes, random) {
    const values = [
      0n,
      1n,
      8n,
      2n ** 31n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n - 1n,
      BigInt(bytes.length),
      BigInt(random(5000)),
    ];
    bytes.writeBigUInt64LE(pick(values, random), 0);
    return bytes;
  },
};

const SETS = {
  bytes: BYTES,
  text: { ...BYTES, ...TEXTS },
  json: { ...BYTES, ...TEXTS, ...JSON_TEXTS },
  safetensors: { ...BYTES, ...SAFETENSORS },
};

/**
 * @param bytes of a right file
 * @param kind bytes, text, json or safetensors: which ways there are to damage it
 * @returns damaged bytes, and the way
 */
export function mutate(bytes, kind, random) {
  const ways = SETS[kind];
  // Half of the time in the ways of the kind alone.
  const own = Object.keys(ways).filter((name) => !(name in BYTES));
  const names = own.length > 0 && random(2) === 0 ? own : Object.keys(ways);
  const way = pick(names, random);
  return { way, bytes: ways[way](Buffer.from(bytes), random) };
}
