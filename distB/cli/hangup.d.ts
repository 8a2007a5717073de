/**
 * Whether SIGHUP is to be ignored because whoever started this process had it so, as `nohup` does. Node.js gives every signal
 * its default back when it starts, so that it cannot be asked: the parent is, and what nohup leaves behind.
 */
export declare function ignoresHangup(): boolean;
