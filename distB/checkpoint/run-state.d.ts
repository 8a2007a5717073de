import { z } from "zod";
declare const schema: z.ZodObject<{
    version: z.ZodLiteral<1>;
    step: z.ZodInt;
    total_steps: z.ZodInt;
    next_micro_batch: z.ZodInt;
    epoch: z.ZodNumber;
    interval: z.ZodObject<{
        losses: z.ZodNumber;
        steps: z.ZodInt;
        tokens: z.ZodInt;
        flop: z.ZodDefault<z.ZodNumber>;
        milliseconds: z.ZodNumber;
    }, z.core.$strip>;
    totals: z.ZodDefault<z.ZodObject<{
        milliseconds: z.ZodNumber;
        losses: z.ZodNumber;
        steps: z.ZodInt;
        tokens: z.ZodInt;
        samples: z.ZodInt;
        flop: z.ZodNumber;
    }, z.core.$strip>>;
    last_eval: z.ZodNullable<z.ZodObject<{
        step: z.ZodInt;
        epoch: z.ZodNumber;
        eval_loss: z.ZodNumber;
        eval_perplexity: z.ZodUnion<[z.ZodNumber, z.ZodPipe<z.ZodNull, z.ZodTransform<number, null>>]>;
    }, z.core.$strip>>;
    best_eval: z.ZodNullable<z.ZodObject<{
        step: z.ZodInt;
        epoch: z.ZodNumber;
        eval_loss: z.ZodNumber;
        eval_perplexity: z.ZodUnion<[z.ZodNumber, z.ZodPipe<z.ZodNull, z.ZodTransform<number, null>>]>;
    }, z.core.$strip>>;
    early_stopping: z.ZodNullable<z.ZodObject<{
        best: z.ZodNullable<z.ZodNumber>;
        waited: z.ZodInt;
    }, z.core.$strip>>;
    loss_scale: z.ZodDefault<z.ZodNullable<z.ZodObject<{
        scale: z.ZodNumber;
        good_steps: z.ZodInt;
        skipped: z.ZodInt;
    }, z.core.$strip>>>;
    settings: z.ZodRecord<z.ZodString, z.ZodUnion<readonly [z.ZodString, z.ZodNumber, z.ZodBoolean, z.ZodNull]>>;
    cpu: z.ZodString;
}, z.core.$strip>;
export type RunState = Omit<z.infer<typeof schema>, "version">;
export type Identity = RunState["settings"];
/** @throws LowrankError E_WRITE */
export declare function writeRunState(folder: string, state: RunState): Promise<void>;
/** @returns the state, and the lines of metrics so far @throws LowrankError E_FILE_MISSING, E_CHECKPOINT */
export declare function readRunState(folder: string): {
    state: RunState;
    history: object[];
};
export {};
