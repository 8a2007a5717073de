// Every call of every public method with an argument or a property of a wrong type, made from the type declarations.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Adapter, LowrankError, loadAdapter, Model, Trainer, type TrainerOptions } from "../../src/index.js";
import { tinyBase, workFolder } from "../support/tiny.js";

const LIMIT_MS = 50;
const declarations = fileURLToPath(new URL("../../dist/index.d.ts", import.meta.url));

const throwing = () => {
  throw new Error("a getter that throws");
};
/** Values of every kind, with their type as the compiler knows it. undefined is the value of an optional argument. */
const KINDS: [string, string, unknown][] = [
  ["null", "null", null],
  ["a number", "number", 3],
  ["NaN", "{ nan: true }", Number.NaN],
  ["a string", "string", "wrong"],
  ["a boolean", "boolean", true],
  ["a list of numbers", "number[]", [1, 2]],
  ["a list of null", "null[]", [null]],
  ["a function", "() => number", () => 3],
  ["a symbol", "symbol", Symbol("wrong")],
  ["a bigint", "bigint", 3n],
  ["a date", "Date", new Date(0)],
  ["a map", "Map<string, number>", new Map([["a", 1]])],
  ["a typed array", "Int8Array", new Int8Array(2)],
  ["a promise", "Promise<number>", Promise.resolve(3)],
  ["an object of a class", "{ nobody: 3 }", new (class Nobody {})()],
  [
    "a proxy that throws",
    "{ nobody: 3 }",
    new Proxy({}, { get: throwing, ownKeys: throwing, has: throwing, getPrototypeOf: throwing }),
  ],
  ["a revoked proxy", "{ nobody: 3 }", revoked()],
  ["a getter that throws", "{ nobody: 3 }", Object.defineProperty({}, "signal", { enumerable: true, get: throwing })],
];

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

interface Case {
  method: string;
  /** Where in the arguments the wrong value is: a number, or a number and a property. */
  at: number;
  property: string | undefined;
  kind: string;
  value: unknown;
}

/** The cases of a signature: values that the compiler says may not be assigned. */
function casesOf(): Case[] {
  const file = "/kinds.ts";
  const source = KINDS.map(([, type], i) => `declare const kind${i}: ${type};`).join("\n");
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: false,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
    types: ["node"],
    skipLibCheck: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2023) : getSourceFile(name, ...rest);
  const program = ts.createProgram([declarations, file], options, host);
  const checker = program.getTypeChecker();
  const kinds = program.getSourceFile(file)!.statements.map((statement) => {
    const { name } = (statement as ts.VariableStatement).declarationList.declarations[0]!;
    return checker.getTypeAtLocation(name);
  });
  const cases: Case[] = [];
  const wrongFor = (type: ts.Type) => KINDS.filter((_, i) => !checker.isTypeAssignableTo(kinds[i]!, type));
  const add = (method: string, signature: ts.Signature) => {
    for (const [at, parameter] of signature.getParameters().entries()) {
      const type = checker.getTypeOfSymbol(parameter);
      for (const [kind, , value] of wrongFor(type)) cases.push({ method, at, property: undefined, kind, value });
      if (parameter.name !== "options" && parameter.name !== "given") continue;
      for (const property of checker.getNonNullableType(type).getProperties()) {
        for (const [kind, , value] of wrongFor(checker.getTypeOfSymbol(property)))
          cases.push({ method, at, property: property.name, kind, value });
      }
    }
  };
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(declarations)!)!);
  for (const name of ["Model", "Trainer", "loadAdapter"]) {
    const alias = exported.find((symbol) => symbol.name === name)!;
    const symbol = alias.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(alias) : alias;
    const own = checker.getTypeOfSymbol(symbol);
    for (const signature of own.getCallSignatures()) add(name, signature);
    const isPublic = ({ valueDeclaration }: ts.Symbol) =>
      valueDeclaration && !(ts.getCombinedModifierFlags(valueDeclaration) & ts.ModifierFlags.Private);
    const methods = (type: ts.Type, prefix: string) => {
      for (const member of type.getProperties().filter(isPublic)) {
        for (const signature of checker.getTypeOfSymbol(member).getCallSignatures())
          if (/^\w+$/.test(member.name) && !member.name.startsWith("__")) add(prefix + member.name, signature);
      }
    };
    if (symbol.flags & ts.SymbolFlags.Class) {
      methods(own, `${name}.`);
      methods(checker.getDeclaredTypeOfSymbol(symbol), `${name.toLowerCase()}.`);
    }
  }
  return cases;
}

const work = workFolder("library-types");
let model: Model;
let trainer: Trainer;
let adapter: Adapter;
let cases: Case[];

beforeAll(async () => {
  cases = casesOf();
  model = await Model.open(tinyBase, { threads: 1 });
  trainer = await Trainer.create(model, { train: ["one text", "another one"], max_seq_length: 8, lora_r: 2 });
  await trainer.save(work.path("adapter"));
  adapter = await loadAdapter(model, work.path("adapter"));
}, 60_000);
afterAll(async () => {
  await model.close();
  work.remove();
});

/** Right arguments of each method, to be made wrong in one place. */
const RIGHT: Record<string, () => unknown[]> = {
  "Model.open": () => [tinyBase, { threads: 1 }],
  "Trainer.create": () => [model, { train: ["a text"] }],
  loadAdapter: () => [model, work.path("adapter")],
  "model.generate": () => ["Take", { max_new_tokens: 1, adapter }],
  "model.generateTexts": () => [["Take"], { max_new_tokens: 1, adapter }],
  "model.classify": () => [["a text"], { batch_size: 1 }],
  "model.evaluate": () => [["a text"], { max_seq_length: 8 }],
  "trainer.run": () => [{}],
  "trainer.generate": () => ["Take", { max_new_tokens: 1 }],
  "trainer.evaluate": () => [{}],
  "trainer.classify": () => [["a text"], {}],
  "trainer.save": () => [work.path("adapter")],
};

function call(method: string, args: unknown[]): unknown {
  const [owner, name] = method.split(".");
  if (name === undefined) return (loadAdapter as (...args: unknown[]) => unknown)(...args);
  const target = { Model, Trainer, model, trainer }[owner!] as unknown as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  return target[name]!(...args);
}

/** The end of a call. A generator is asked for its first value. */
async function outcome({ method, at, property, value }: Case): Promise<{ error: unknown; ms: number }> {
  const args = RIGHT[method]!();
  args[at] = property === undefined ? value : { ...(args[at] as object), [property]: value };
  if (property === "train_file") delete (args[at] as { train?: unknown }).train;
  const start = performance.now();
  const finish = (error: unknown) => ({ error, ms: performance.now() - start });
  let result: unknown;
  try {
    result = call(method, args);
  } catch (error) {
    return finish(new Error(`thrown at once, expected a rejection: ${error}`));
  }
  try {
    const { next } = result as Partial<AsyncGenerator>;
    const first = await (next ? next.call(result) : result);
    await (first as Partial<Trainer>)?.close?.();
    return finish(undefined);
  } catch (error) {
    return finish(error);
  }
}

describe("wrong types", () => {
  test("the declarations give cases of every method that takes something", () => {
    expect([...new Set(cases.map(({ method }) => method))].sort()).toEqual(Object.keys(RIGHT).sort());
    expect(cases.length).toBeGreaterThan(1500);
    for (const name of ["learning_rate", "lr", "train", "resume", "signal", "adapter", "threads"])
      expect(cases.filter(({ property }) => property === name).length, name).toBeGreaterThan(5);
  });

  test.each(Object.keys(RIGHT))(
    "of %s: a LowrankError each, at once",
    async (method) => {
      const bad: string[] = [];
      for (const each of cases.filter((one) => one.method === method)) {
        let found = await outcome(each);
        // Other work of the machine may take a while; the call itself does not.
        for (let i = 0; i < 9 && found.ms >= LIMIT_MS; i++) found = await outcome(each);
        const { error, ms } = found;
        const name = `argument ${each.at}${each.property ? `, ${each.property}` : ""} is ${each.kind}`;
        if (!(error instanceof LowrankError)) bad.push(`${name}: ${error === undefined ? "accepted" : error}`);
        else if (error.where === undefined || !error.code.startsWith("E_") || error.message.length > 2000)
          bad.push(`${name}: ${JSON.stringify(error)} ${error.message}`);
        if (ms >= LIMIT_MS) bad.push(`${name}: ${ms.toFixed(0)} ms`);
      }
      expect(bad).toEqual([]);
    },
    120_000,
  );

  test("a wrong call leaves the trainer as it was", async () => {
    expect(trainer.state).toBe("idle");
    expect((await trainer.evaluate()).eval_loss).toBeGreaterThan(0);
  });
});

describe("texts", () => {
  const create = (train: unknown) => Trainer.create(model, { train: train as string[] });
  const evaluate = (texts: unknown) => model.evaluate(texts as string[]);
  const refused = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => undefined,
      (e: LowrankError) => e,
    );
    expect(error).toBeInstanceOf(LowrankError);
    return error!;
  };

  test.each([
    ["an empty list", () => []],
    ["an iterator that ends at once", async function* () {}],
    ["an empty map", () => new Map()],
  ])("%s", async (_, make) => {
    for (const [name, use] of [
      ["train", create],
      ["texts", evaluate],
    ] as const) {
      const error = await refused(use(make()));
      expect(error.message).toBe(`${name}: there are no texts.`);
      expect([error.code, error.where]).toEqual(["E_DATA_EMPTY", name]);
    }
  });

  test("what is no text, and an iterator that fails", async () => {
    const cause = new Error("the line is down");
    const failing = async function* () {
      yield "one";
      throw cause;
    };
    for (const use of [create, evaluate]) {
      expect((await refused(use(["one", 3n]))).message).toMatch(/: text 2 is 3n, expected a string or /);
      expect((await refused(use([{ text: null }]))).message).toMatch(/: text 1 is null, expected/);
      const error = await refused(use(failing()));
      expect(error.message).toMatch(/: reading stopped after 1 texts: the line is down\.$/);
      expect(error.cause).toBe(cause);
      expect((await refused(use([Object.defineProperty({}, "text", { get: throwing })]))).message).toContain(
        "a getter",
      );
    }
  });
});

test("text_column names the column of rows of texts", async () => {
  const texts = ["one", "two, which is longer", "three", "four"];
  const small = { lora_r: 2, max_seq_length: 16, max_steps: 1, per_device_train_batch_size: 4, validation: texts };
  const tokens = async (options: TrainerOptions) => {
    await using trainer = await Trainer.create(model, { ...small, ...options });
    for await (const event of trainer.run()) if (event.type === "end") return event.summary.train_tokens;
  };
  const rows = texts.map((content) => ({ text: "another", content }));
  const right = await tokens({ train: texts });
  const named = { train: rows, text_column: "content", validation: rows };
  expect(await tokens(named)).toBe(right);
  expect(await tokens({ train: rows })).not.toBe(right);
  const wrong = Trainer.create(model, { train: [{ text: "another" }], text_column: "content" });
  await expect(wrong).rejects.toMatchObject({
    code: "E_DATA_ROW",
    message: expect.stringMatching(/\{ content: string \}/),
  });
});

test("trackers that are none need no output_dir", async () => {
  await using trainer = await Trainer.create(model, { train: ["one", "two"], report_to: "none", max_seq_length: 16 });
  expect(trainer).toBeInstanceOf(Trainer);
});

test.each([{ report_to: "tensorboard" }, { use_wandb: true }] as const)(
  "%j without output_dir is refused",
  async (trackers) => {
    const wrong = Trainer.create(model, { train: ["one", "two"], ...trackers });
    await expect(wrong).rejects.toMatchObject({
      code: "E_USAGE",
      message: expect.stringContaining("expected output_dir"),
    });
  },
);

test("docs/library.md names every event of a run with its fields, and no other", () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
  const union = read("../../src/trainer/events.ts").split("export type TrainerEvent =")[1]!.split("/** Receives")[0]!;
  const found = [...union.matchAll(/\{ type: "(\w+)";?([^}]*)\}/g)].map(
    ([, type, fields]) => [type!, [...fields!.matchAll(/(\w+)\??:/g)].map(([, field]) => field!)] as const,
  );
  expect(found.length).toBeGreaterThan(7);
  const table = read("../../docs/library.md").split("| event | |")[1]!.split("\n\n")[0]!;
  const rows = new Map([...table.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, type, text]) => [type!, text!]));
  expect([...rows.keys()].sort()).toEqual([...found.map(([type]) => type), "end"].sort());
  const sample = read("../../src/trainer/events.ts").match(/export interface Sample \{([^}]*)\}/)![1]!;
  found.push(["sample", [...sample.matchAll(/(\w+)\??:/g)].map(([, field]) => field!)]);
  for (const [type, fields] of found)
    for (const field of fields) expect(rows.get(type), `${type}: ${field}`).toContain(`\`${field}\``);
});

test("an error without a place has no property for it", () => {
  expect(Object.keys(new LowrankError("E_X", "x"))).not.toContain("where");
  expect(Object.hasOwn(new LowrankError("E_X", "x", undefined, { cause: undefined }), "cause")).toBe(false);
  expect(new LowrankError("E_X", "x", "here").where).toBe("here");
});
