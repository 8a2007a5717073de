/** What a stream failed with first; null where it is whole. */
export declare function failureOf(stream: NodeJS.WriteStream): NodeJS.ErrnoException | null;
/** From here on a write that fails throws nothing, and nothing is written after it. Listeners for `error` hear of it once. */
export declare function guardStreams(streams?: ((NodeJS.WriteStream & {
    fd: 2;
}) | (NodeJS.WriteStream & {
    fd: 1;
}))[]): void;
/**
 * Node.js gives terminals their settings back when it ends, and aborts over one that has hung up. It takes no notice of a
 * descriptor that is closed by then, as other devices than terminals may be, too.
 */
export declare function letGoOfLostTerminals(): void;
