// Standard streams that may be gone or full: what cannot be written ends no work that is in progress.
import { closeSync, fstatSync } from "node:fs";
import { isatty } from "node:tty";
const failures = new WeakMap();
const guarded = new WeakSet();
/** What a stream failed with first; null where it is whole. */
export function failureOf(stream) {
    return failures.get(stream) ?? null;
}
/** From here on a write that fails throws nothing, and nothing is written after it. Listeners for `error` hear of it once. */
export function guardStreams(streams = [process.stdout, process.stderr]) {
    for (const stream of streams) {
        if (guarded.has(stream))
            continue;
        guarded.add(stream);
        stream.on("error", (error) => {
            if (!failures.has(stream))
                failures.set(stream, error);
        });
        const write = stream.write.bind(stream);
        stream.write = (...args) => {
            if (failures.has(stream))
                return true;
            try {
                return write(...args);
            }
            catch (error) {
                // Files and terminals are written at once, and some versions of Node.js throw what the system says.
                stream.emit("error", error);
                return true;
            }
        };
    }
}
const isLostTerminal = (descriptor) => {
    try {
        return fstatSync(descriptor).isCharacterDevice() && !isatty(descriptor);
    }
    catch {
        return false;
    }
};
/**
 * Node.js gives terminals their settings back when it ends, and aborts over one that has hung up. It takes no notice of a
 * descriptor that is closed by then, as other devices than terminals may be, too.
 */
export function letGoOfLostTerminals() {
    process.on("exit", () => {
        for (const descriptor of [0, 1, 2])
            if (isLostTerminal(descriptor))
                closeSync(descriptor);
    });
}
