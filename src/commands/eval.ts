import type { CommandOptions } from "../config/index.js";
import { onTexts } from "./evaluation.js";

/** `lowrank eval`: loss and perplexity on standard output. */
export async function run(o: CommandOptions<"eval">, inFile: ReadonlySet<string>): Promise<void> {
  const found = await onTexts(o, inFile, ({ evaluate }) => evaluate());
  const lines = Object.entries(found).map(([name, value]) => `${name}: ${value}`);
  process.stdout.write(`${o.json ? JSON.stringify(found) : lines.join("\n")}\n`);
}
