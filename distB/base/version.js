import { readFileSync } from "node:fs";
let version;
/** Of this package. */
export function packageVersion() {
    version ??= JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;
    return version;
}
