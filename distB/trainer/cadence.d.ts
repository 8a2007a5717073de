/** When something is done: every so many steps, at the end of each epoch, or never. */
export type Strategy = "steps" | "epoch" | "no";
export interface Cadence {
    strategy: Strategy;
    /** Steps between two times, of the strategy `steps`. */
    every: number;
}
/** The last step ends an epoch, too. */
export declare function isDue({ strategy, every }: Cadence, step: number, perEpoch: number, total: number): boolean;
