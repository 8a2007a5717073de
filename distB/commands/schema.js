import { jsonSchema } from "../config/index.js";
/** `lowrank schema`: JSON Schema of the YAML configuration, on standard output. */
export async function run() {
    process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
}
