// Shows how far tokenising is.
import { statSync } from "node:fs";
import { bytes, count } from "../base/text.js";
/** Seconds between two lines where there is no bar. */
export const LINE_S = 10;
/** @returns shows the reading of files as a bar, or as lines where there is none */
export function tokenising(progress, log) {
    return (files) => display(files, progress, log);
}
function display(files, progress, log) {
    const start = performance.now();
    const total = files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
    let last = start;
    let done = null;
    const rates = ({ texts, bytes: read }) => {
        const seconds = (performance.now() - start) / 1000;
        return `${count(Math.round(texts / seconds))} rows/s, ${bytes(read / seconds)}/s`;
    };
    return {
        update(now) {
            if (!done)
                progress.start("tokenising", total);
            done = now;
            // Compressed files are larger inside than outside.
            progress.update(Math.min(now.bytes, total), rates(now));
            if (performance.now() - last < LINE_S * 1000)
                return;
            last = performance.now();
            if (!progress.shown)
                log?.info(`tokenising: ${count(now.texts)} rows, ${bytes(now.bytes)} (${rates(now)})`);
        },
        end(table) {
            progress.stop();
            if (!table)
                return;
            const what = `${count(table.texts)} texts, ${count(table.length)} examples`;
            log?.verbose(done ? `tokenised ${what}: ${count(done.tokens)} tokens (${rates(done)})` : `${what} from the cache`);
        },
    };
}
