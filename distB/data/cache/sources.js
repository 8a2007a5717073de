// What the texts are read from, and in which state it was when a cache file was made.
import { createHash } from "node:crypto";
import { realpathSync, statSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { readError } from "../../base/system-errors.js";
import { isPipe } from "../formats/pipe.js";
import { Places } from "../places.js";
import { placesOf, textBlocks } from "../texts.js";
/**
 * A file that was changed so recently may be changed again within the same tick of the file system's clock, with nothing
 * to show for it.
 */
const SETTLED_MS = 2000;
/** @param warn see `textBlocks` */
export function fileTexts(files, options, warn) {
    // What cannot be read again.
    const once = files.some(isPipe) ? new Places() : null;
    return {
        files,
        async *texts() {
            for await (const { file, unit, rows } of textBlocks(files, options, warn)) {
                if (once)
                    for (const { at } of rows)
                        once.add(file, unit, at);
                yield rows.map(({ text }) => text);
            }
        },
        places: async (numbers) => once ? numbers.map((number) => once.of(number)) : await placesOf(files, options, numbers),
        state() {
            if (once)
                return null;
            const found = files.map((file) => {
                try {
                    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
                    const settled = Date.now() - Number(ctimeNs / 1000000n) > SETTLED_MS;
                    return settled ? [realpathSync(file), ...[dev, ino, size, mtimeNs, ctimeNs].map(String)] : null;
                }
                catch (error) {
                    throw readError(error, file, "Data file");
                }
            });
            return found.includes(null) ? null : JSON.stringify([options, found]);
        },
    };
}
/** Texts that are in memory already. */
export function givenTexts(texts) {
    return {
        files: [],
        async *texts() {
            for await (const text of texts)
                yield [text];
        },
        places: async (numbers) => numbers.map((number) => `text ${number + 1}`),
        state: () => null,
    };
}
/** The name under which the cache file of sources in this state is remembered. */
export function stampOf(state, decisive) {
    return createHash("sha256")
        .update(JSON.stringify([state, ...decisive]))
        .digest("hex");
}
/** Notes which cache file was made from sources in a state. Where that fails, the texts are read again next time. */
export async function rememberSources(folder, stamp, key) {
    const file = join(folder, `${stamp}.json`);
    try {
        writeFileSync(`${file}.${process.pid}`, JSON.stringify({ key }));
        await rename(`${file}.${process.pid}`, file);
    }
    catch {
        // It is a shortcut only.
    }
}
