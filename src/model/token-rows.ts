// Single tokens whose rows of the embedding or of the head train beside an adapter (PEFT's trainable_token_indices).
import { LowrankError } from "../base/errors.js";
import type { ModelSource, TokenRows } from "../native/index.js";
import { moduleOf } from "./tables.js";

/** As PEFT has them: ids of the embedding, or ids by the name of a module. */
export type TokenIndices = readonly number[] | Readonly<Record<string, readonly number[]>>;

/**
 * The rows that train, of whole module names. As in PEFT a name means the module whose name ends with it, and a head that is the embedding shares
 * the embedding's rows.
 * @param whole modules that train whole
 * @param where the option or key, for errors
 * @throws LowrankError E_TARGET
 */
export function tokenRows(
  { spec, folder }: ModelSource,
  indices: TokenIndices | undefined,
  whole: readonly string[],
  where: string,
): TokenRows[] {
  if (indices === undefined) return [];
  const fail = (message: string) => new LowrankError("E_TARGET", `${where}: ${message}`, "trainable_token_indices");
  const embedding = moduleOf(spec.embedding);
  const head = spec.classifier ? undefined : moduleOf(spec.head);
  const tables = head === undefined ? [embedding] : [embedding, head];
  const given: [string, readonly number[]][] = Array.isArray(indices)
    ? [[embedding, indices]]
    : Object.entries(indices as Record<string, readonly number[]>);
  const found = new Map<string, number[]>();
  for (const [name, ids] of given) {
    const table = tables.find((each) => each.endsWith(name));
    if (table === undefined)
      throw fail(`"${name}" is no table of tokens of ${folder}, which has ${tables.join(" and ")}.`);
    if (found.has(table)) throw fail(`${table} is named twice.`);
    checkIds(ids, spec.vocab, (what) => fail(`${table}: ${what}.`));
    found.set(table, [...ids]);
  }
  const rows = [...found].map(([module, ids]) => ({ module, ids }));
  const isTied = head !== undefined && spec.tiedHead;
  const ofHead = head === undefined ? undefined : (found.get(head) ?? (isTied ? found.get(embedding) : undefined));
  if (isTied && found.has(head) && String(found.get(head)) !== String(found.get(embedding))) {
    throw fail(
      `the head ${head} is the embedding, and shares its rows: name ${embedding} alone, or both with the same ids.`,
    );
  }
  const twice = [...found.keys(), ...(isTied ? [head] : [])].find((table) => whole.includes(table));
  if (twice !== undefined)
    throw fail(`${twice} trains whole (modules_to_save). Leave it out of modules_to_save, or give no ids.`);
  if (ofHead && spec.headBias)
    throw fail(`the head ${head} has a bias, which PEFT drops where rows of it train: it is not supported.`);
  return isTied ? rows.filter(({ module }) => module !== head) : rows;
}

function checkIds(ids: readonly number[], vocab: number, fail: (what: string) => LowrankError): void {
  if (ids.length === 0) throw fail("there are no ids");
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
  if (wrong !== undefined) throw fail(`token ${wrong} is outside the vocabulary, which has ids from 0 to ${vocab - 1}`);
  const again = ids.find((id, i) => ids.indexOf(id) !== i);
  if (again !== undefined) throw fail(`token ${again} is given twice`);
}

/** The same in PEFT's form, by the last parts of names. */
export function tokenIndices(rows: readonly TokenRows[]): Record<string, number[]> {
  return Object.fromEntries(rows.map(({ module, ids }) => [module.slice(module.lastIndexOf(".") + 1), ids]));
}

/** Full names of the modules whose tables have some of these rows. */
export function tokenTables({ spec, tensors }: ModelSource, rows: readonly TokenRows[] = []): string[] {
  const modules = rows.map(({ module }) => module);
  // Files may hold the head beside the embedding that it is.
  const hasTwin = rows.length > 0 && spec.tiedHead && tensors.some(({ name }) => name === spec.head);
  return hasTwin ? [...modules, moduleOf(spec.head)] : modules;
}
