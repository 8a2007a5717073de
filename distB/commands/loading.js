import { LINE_S } from "./tokenising.js";
/** For commands without a log: their results go to standard output. */
export const STDERR = { info: (line) => void process.stderr.write(`${line}\n`) };
const MIB = 2 ** 20;
const WORDS = {
    quantising: { bar: "quantising", line: "quantising", done: "quantised the weights", unit: 1 },
    copying: { bar: "reading weights, MiB", line: "reading weights", done: "read the weights", unit: MIB },
};
function shownWork(work, progress, log, isFree, start) {
    const { bar, line, done: ended, unit } = WORDS[work];
    let last = start;
    let drawn = false;
    let isDone = false;
    return (done, total) => {
        const now = performance.now();
        if (isDone)
            return;
        if (done === total) {
            isDone = true;
            if (drawn)
                progress.stop();
            const seconds = ((now - start) / 1000).toFixed(0);
            if (last > start)
                log.info(`${ended} in ${seconds} s`);
        }
        else if (progress.shown) {
            if (!isFree())
                return;
            if (!drawn)
                progress.start(bar, Math.ceil(total / unit));
            drawn = true;
            progress.update(Math.floor(done / unit));
        }
        else if (now - last >= LINE_S * 1000) {
            last = now;
            log.info(`${line}: ${Math.floor((done / total) * 100)} %`);
        }
    };
}
/**
 * @param isFree whether the bar is nobody else's just now
 * @returns shows so many steps of all as a bar, or as lines where there is none
 */
export function loading(progress, log, isFree = () => true) {
    const shown = new Map();
    // One work begins where the one before it ended.
    let since = performance.now();
    return (work, done, total) => {
        const show = shown.get(work) ?? shownWork(work, progress, log, isFree, since);
        shown.set(work, show);
        show(done, total);
        if (done === total)
            since = performance.now();
    };
}
