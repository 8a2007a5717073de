import { completion } from "../config/index.js";
/** `lowrank completion`: a script for a shell, on standard output. */
export async function run(o) {
    process.stdout.write(completion(o.shell));
}
