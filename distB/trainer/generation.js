/** What the model goes on to write after a prompt, piece by piece as it comes. */
export async function* generate(engine, tokenizer, prompt, options) {
    const stream = tokenizer.stream();
    let token = await engine.generateStart(prompt, options);
    let n = 0;
    while (!options.stopIds.has(token)) {
        n++;
        options.onToken?.();
        const piece = stream.push(token);
        if (piece)
            yield piece;
        if (n === options.maxNewTokens || options.signal?.aborted)
            break;
        token = await engine.generateNext(token);
    }
    const rest = stream.end();
    if (rest)
        yield rest;
    return { tokens: n, stop: options.stopIds.has(token) ? token : null };
}
/** Tokens of a validation text that a sample starts from, and how its continuation is chosen. */
export const SAMPLE = { promptTokens: 50, temperature: 0.7, topP: 0.95 };
/** The seed of the i-th sample; after the largest one comes 0. */
export function seedOf(seed, i) {
    const left = Number.MAX_SAFE_INTEGER - seed;
    return i <= left ? seed + i : i - left - 1;
}
/** Continuations of the beginnings of some texts, and how far they are. */
export async function* samples(engine, tokenizer, options) {
    const { seed, maxSequence, stopIds, signal } = options;
    const prompts = options.prompts
        .map((beginning) => beginning.subarray(0, Math.min(SAMPLE.promptTokens, maxSequence - 1)))
        .filter((prompt) => prompt.length > 0);
    const most = prompts.map((prompt) => Math.min(options.maxNewTokens, maxSequence - prompt.length));
    const total = most.reduce((sum, tokens) => sum + tokens, 0);
    let done = 0;
    for (const [i, prompt] of prompts.entries()) {
        if (signal?.aborted)
            return;
        const maxNewTokens = most[i];
        const { temperature, topP } = SAMPLE;
        let tokens = 0;
        const onToken = () => {
            tokens++;
        };
        const sampling = { temperature, topP, topK: 0, seed: seedOf(seed, i), maxNewTokens, stopIds, signal, onToken };
        let text = "";
        for await (const piece of generate(engine, tokenizer, prompt, sampling)) {
            text += piece;
            yield { type: "sampling", done: done + tokens, total };
        }
        done += maxNewTokens;
        yield { type: "sample", sample: { prompt: tokenizer.decode(prompt, { skipSpecialTokens: true }), text } };
    }
}
