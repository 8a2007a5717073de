/** metrics.jsonl: one JSON object a line, in full precision. */
export declare class Metrics {
    #private;
    /**
     * @param history lines of a run that goes on; whatever else the file holds comes after them and is made again
     * @throws LowrankError E_WRITE
     */
    constructor(path: string, history?: object[]);
    write(metrics: object): void;
    close(): void;
}
