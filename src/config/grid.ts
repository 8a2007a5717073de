// The options in which the adapters of a sweep differ: ranks, or a grid over options that leave base and texts as they are.
import { LowrankError } from "../base/errors.js";
import { suggestion } from "../base/nearest.js";
import { readText } from "../base/system-errors.js";
import { yaml } from "../base/yaml.js";
import { canonical, findRow } from "./aliases.js";
import type { Rows } from "./row.js";
import { modelRows, trainRows } from "./rows.js";
import { shownValue } from "./value.js";

/** Values of options by name, in which one adapter differs from others. */
export type Variant = Readonly<Record<string, unknown>>;

const all: Rows = { ...modelRows, ...trainRows };
/** Options that adapters on one base may differ in. */
export const perAdapter: readonly string[] = Object.keys(all).filter((name) => all[name]!.perAdapter);

/** More adapters than a sweep can mean. */
const MOST_VARIANTS = 256;

const usage = (where: string, what: string) => new LowrankError("E_USAGE", `${where}: ${what}`, where);

/** @throws LowrankError E_USAGE naming what is no option, no option of an adapter, or no value */
function checked(where: string, values: Record<string, unknown>): Variant {
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const option = findRow(all, name);
    if (!option?.row.perAdapter) {
      const what = option
        ? "the adapters of a sweep share the base, the texts and the steps"
        : `unknown option${suggestion(canonical(name), perAdapter)}`;
      throw usage(where, `${name}: ${what}. They may differ in ${perAdapter.join(", ")}.`);
    }
    const { key, row } = option;
    const parsed = row.schema.safeParse(value);
    if (!parsed.success || parsed.data === undefined)
      throw usage(where, `${name}: expected ${row.expects}, found ${shownValue(value)}.`);
    if (key in found) throw usage(where, `${name}: given beside another name of ${key}.`);
    found[key] = parsed.data;
  }
  return found;
}

/** Every combination of the lists' items, the last option's changing first. */
function product(lists: [string, unknown[]][]): Record<string, unknown>[] {
  let combined: Record<string, unknown>[] = [{}];
  for (const [name, values] of lists) {
    combined = combined.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
    if (combined.length > MOST_VARIANTS) break;
  }
  return combined;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * @param grid lists of values by option, for every combination of them; or a list of maps, one for each adapter
 * @param where the grid's name in messages
 * @throws LowrankError E_USAGE
 */
export function variantsOf(grid: unknown, where: string): Variant[] {
  let variants: Record<string, unknown>[];
  if (isMap(grid)) {
    const lists = Object.entries(grid).map(([name, values]): [string, unknown[]] => {
      return [name, Array.isArray(values) ? values : [values]];
    });
    const empty = lists.find(([, values]) => values.length === 0);
    if (empty) throw usage(where, `${empty[0]}: expected a list of values, found an empty one.`);
    variants = product(lists);
  } else if (Array.isArray(grid) && grid.every(isMap)) variants = grid;
  else throw usage(where, "expected lists of values by option, or a list with the options of each adapter.");
  if (variants.length > MOST_VARIANTS) throw usage(where, `more than ${MOST_VARIANTS} adapters.`);
  const found = variants.map((values) => checked(where, values));
  if (found.length === 0 || found.some((values) => Object.keys(values).length === 0))
    throw usage(where, "expected at least one option for each adapter.");
  const seen = new Set<string>();
  for (const values of found) {
    const text = JSON.stringify(Object.entries(values).sort());
    if (seen.has(text)) throw usage(where, `two adapters have the same options: ${text}.`);
    seen.add(text);
  }
  return found;
}

/** The grid of a YAML file. @throws LowrankError E_CONFIG_FILE, E_USAGE */
export function readGrid(file: string): Variant[] {
  const document = yaml().parseDocument(readText(file, "--grid"));
  const [problem] = document.errors;
  if (problem) throw new LowrankError("E_CONFIG_FILE", `${file} is not valid YAML: ${problem.message}`, file);
  let grid: unknown;
  try {
    grid = document.toJS();
  } catch (error) {
    throw new LowrankError("E_CONFIG_FILE", `${file}: ${(error as Error).message}`, file);
  }
  return variantsOf(grid, file);
}
