import { homedir } from "node:os";
import { join } from "node:path";
/** $XDG_CACHE_HOME/lowrank, or ~/.cache/lowrank. */
export function defaultCacheFolder() {
    return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "lowrank");
}
