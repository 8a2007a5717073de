import { defaultCacheFolder } from "../base/cache-folder.js";
import { bytes, table } from "../base/text.js";
import { clearCache, listCache } from "../data/index.js";
const total = (entries) => entries.reduce((sum, entry) => sum + entry.bytes, 0);
function shown(entries) {
    return table(entries.map(({ file, bytes: size, lastUse }) => [`${file}  ${lastUse.toISOString().slice(0, 16)}`, bytes(size)]));
}
/** `lowrank cache ls|clear`. */
export async function run(o) {
    const folder = o.cache_dir ?? defaultCacheFolder();
    const entries = o.action === "clear" ? clearCache(folder) : listCache(folder);
    if (o.json) {
        const files = entries.map(({ file, bytes: size, lastUse }) => ({ file, bytes: size, last_use: lastUse }));
        process.stdout.write(`${JSON.stringify({ folder, action: o.action, files, bytes: total(entries) })}\n`);
        return;
    }
    const what = `${entries.length} files of tokens, ${bytes(total(entries))}`;
    if (o.action === "clear")
        process.stdout.write(`removed ${what} from ${folder}\n`);
    else
        process.stdout.write(`${folder}: ${what}\n${entries.length > 0 ? `${shown(entries)}\n` : ""}`);
}
