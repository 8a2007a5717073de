// `lowrank devices`: what --device can name.
import { bytes, table } from "../base/text.js";
import type { CommandOptions } from "../config/index.js";
import { cpuInfo, devices } from "../native/index.js";

export async function run(o: CommandOptions<"devices">): Promise<void> {
  const { isa } = cpuInfo();
  const { found, missing } = devices();
  if (o.json) {
    process.stdout.write(`${JSON.stringify({ devices: [{ name: "cpu", isa }, ...found], missing })}\n`);
    return;
  }
  const lines = found.map(({ name, description, memoryBytes, freeBytes }): [string, string] => [
    name,
    `${description}, ${bytes(freeBytes)} of ${bytes(memoryBytes)} free`,
  ]);
  process.stdout.write(`${table([["cpu", `instruction set ${isa}`], ...lines])}\n`);
  if (missing) process.stdout.write(`${missing}\n`);
}
