// Standard streams that may be gone or full: a failure to write ends no work that is in progress.
import { closeSync, fstatSync } from "node:fs";
import { isatty } from "node:tty";

const failures = new WeakMap<NodeJS.WriteStream, NodeJS.ErrnoException>();
const guarded = new WeakSet<NodeJS.WriteStream>();

/** A stream's first failure; null where it is whole. */
export function failureOf(stream: NodeJS.WriteStream): NodeJS.ErrnoException | null {
  return failures.get(stream) ?? null;
}

/** From here on a write that fails throws nothing, and nothing is written after it. Listeners for `error` hear of it once. */
export function guardStreams(streams = [process.stdout, process.stderr]): void {
  for (const stream of streams) {
    if (guarded.has(stream)) continue;
    guarded.add(stream);
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (!failures.has(stream)) failures.set(stream, error);
    });
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    stream.write = (...args: unknown[]) => {
      if (failures.has(stream)) return true;
      try {
        return write(...args);
      } catch (error) {
        // Files and terminals are written at once, and some versions of Node.js throw the system's error.
        stream.emit("error", error);
        return true;
      }
    };
  }
}

const isLostTerminal = (descriptor: number) => {
  try {
    return fstatSync(descriptor).isCharacterDevice() && !isatty(descriptor);
  } catch {
    return false;
  }
};

/**
 * Node.js gives terminals their settings back when it ends, and aborts over one that has hung up. It takes no notice of a
 * descriptor that is closed by then, as other devices than terminals may be, too.
 */
export function letGoOfLostTerminals(): void {
  process.on("exit", () => {
    for (const descriptor of [0, 1, 2]) if (isLostTerminal(descriptor)) closeSync(descriptor);
  });
}
