// JSON Schema of the YAML file that --config names, from the one table of options.
import { z } from "zod";
import { trainCommand } from "./commands.js";
import type { Row, Rows } from "./row.js";

export const SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema";

function property(row: Row): Record<string, unknown> {
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

export function jsonSchema(): Record<string, unknown> {
  const rows: Rows = trainCommand.rows;
  const entries = Object.entries(rows).filter(([name]) => name !== "config");
  return {
    $schema: SCHEMA_URL,
    title: "lowrank: options of a training run",
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(entries.map(([name, row]) => [name, property(row)])),
  };
}
