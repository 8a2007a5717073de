import type { CommandOptions } from "../config/index.js";
import { Tokenizer } from "../data/index.js";
import { type Ending } from "../trainer/index.js";
/** Why there is no text, and what may help. */
export declare function nothingWritten({ tokens, stop }: Ending, tokenizer: Pick<Tokenizer, "decode">, { base_model, tokenizer_name, adapter, }: Pick<CommandOptions<"generate">, "tokenizer_name" | "adapter"> & {
    base_model: string;
}): string;
/** `lowrank generate`: the continuation goes to standard output as it comes, everything else to standard error. */
export declare function run(named: CommandOptions<"generate">): Promise<void>;
