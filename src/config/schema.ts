// JSON Schema of the YAML file that --config names, from the one table of options.
import { z } from "zod";
import { otherNames } from "./aliases.js";
import { commandList, commands } from "./commands.js";
import type { OptionRow, Rows } from "./row.js";

export const SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema";

function property(row: OptionRow): Record<string, unknown> {
  const { $schema: _, ...type } = z.toJSONSchema(row.schema, { io: "input", unrepresentable: "any" });
  // An option that may stand alone is true there, and one that nobody needs may be left empty.
  const values: unknown[] = [type];
  if (row.bare !== undefined) values.push({ type: "boolean" });
  if (!row.required && row.defaultValue === undefined) values.push({ type: "null" });
  return {
    description: row.required ? `${row.help} (required, here or as a flag)` : row.help,
    ...(row.defaultValue === undefined ? {} : { default: row.defaultValue }),
    ...(values.length === 1 ? type : { anyOf: values }),
  };
}

/** Options of training runs, and options that only other commands know: one file serves all. */
function rowsInFiles(): Rows {
  const others = commandList.filter(({ rows }) => "config" in rows).map(({ rows }) => rows as Rows);
  const { config: _, ...rows } = Object.assign({}, ...others, commands.train.rows) as Rows;
  return rows;
}

export function jsonSchema(): Record<string, unknown> {
  const rows = rowsInFiles();
  const names = Object.keys(rows);
  const needed = (name: string, row: OptionRow) => ({ ...row, required: row.required && name in commands.train.rows });
  const others = names.flatMap((name) =>
    otherNames(name).map((other) => [other, { $ref: `#/properties/${name}`, description: `the same as ${name}` }]),
  );
  return {
    $schema: SCHEMA_URL,
    title: "lowrank: options of a training run and of other commands",
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries([...names.map((name) => [name, property(needed(name, rows[name]!))]), ...others]),
  };
}
