export interface ChannelHooks {
    /** The reader has a value, and the task waits. */
    taken(): void;
    /** The reader asks for the next one, and the task goes on when the promise resolves. */
    asked(): Promise<void>;
    /** The reader has left before the end. */
    left(): void;
}
/**
 * Hands values from a task to an async iterator, one at a time: the task goes on when the reader asks for the next.
 * Ending the iterator early tells the task, and waits for it.
 * @param task hands a value over with `put`, whose promise resolves when the task may go on
 */
export declare function channel<T, R>(task: (put: (value: T) => Promise<void>) => Promise<R>, hooks: ChannelHooks): AsyncGenerator<T, R, undefined>;
