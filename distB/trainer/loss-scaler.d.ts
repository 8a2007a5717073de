export interface LossScaling {
    /** Loss scale of the first step. */
    initial: number;
    /** Steps without an overflow after which it is doubled. */
    window: number;
}
/** What a checkpoint keeps. */
export interface LossScaleState {
    scale: number;
    /** Steps since it last changed, all without an overflow. */
    good_steps: number;
    /** Steps in the run so far that an overflow made void. */
    skipped: number;
}
/**
 * Dynamic loss scaling for fp16 (Micikevicius et al., 2018) by the rules of PyTorch's GradScaler: a step whose gradients are not
 * finite is skipped and halves the scale, a window of steps without one doubles it.
 */
export declare class LossScaler {
    #private;
    readonly state: LossScaleState;
    constructor({ initial, window }: LossScaling, begun: LossScaleState | null | undefined);
    /** @throws LowrankError E_NAN where no scale helps */
    update(overflowed: boolean, step: number): void;
}
