const SHORTEST_SEQUENCE = 32;
/** Half of a number, half of that and so on. */
function halves(from, least) {
    const list = [];
    for (let n = Math.floor(from / 2); n >= least; n = Math.floor(n / 2))
        list.push(n);
    return list;
}
/** Batches of at most `n` texts, with as many texts in a step as before. */
function smallerBatch({ batchSize, accumulation }, n) {
    return { batchSize: n, accumulation: Math.ceil((accumulation * batchSize) / n) };
}
const FLAGS = {
    precision: "precision",
    batchSize: "per_device_train_batch_size",
    accumulation: "gradient_accumulation_steps",
    sequence: "max_seq_length",
    rank: "lora_r",
    checkpointing: "gradient_checkpointing",
    optimizer: "optim",
};
function asFlags(settings, change) {
    const flags = Object.keys(FLAGS)
        .filter((key) => change[key] !== undefined && change[key] !== settings[key])
        .map((key) => (change[key] === true ? `--${FLAGS[key]}` : `--${FLAGS[key]} ${change[key]}`));
    return [...(change.base === undefined ? [] : [`--${change.base}`]), ...flags].join(" ");
}
/** What may be changed, each from the slightest change to the largest, in the order in which single changes are named. */
function waysOf(settings, fixed) {
    const { batchSize, sequence, rank } = settings;
    // A quantised base is computed with in bf16 unless something else is asked for.
    const format = settings.precision === "fp32" ? { precision: "bf16" } : {};
    const bases = fixed.base || settings.base ? [] : ["use_8bit", "use_4bit"];
    return {
        again: settings.checkpointing ? [] : [{ checkpointing: true }],
        batches: halves(batchSize, 1).map((n) => smallerBatch(settings, n)),
        lengths: halves(sequence, SHORTEST_SEQUENCE).map((n) => ({ sequence: n })),
        formats: settings.precision === "fp32" ? [format] : [],
        optimizers: settings.optimizer === "adamw" ? [{ optimizer: "adamw_8bit" }] : [],
        bases: bases.map((base) => ({ base, ...format })),
        ranks: fixed.rank ? [] : halves(rank, 1).map((n) => ({ rank: n })),
    };
}
const joined = (changes) => Object.assign({}, ...changes);
/** Without the changes that are not needed beside the others. */
function needed(changes, fits) {
    return changes.reduceRight((kept, change) => {
        const others = kept.filter((one) => one !== change);
        return fits(joined(others)) ? others : kept;
    }, changes);
}
/**
 * The smallest changes that fit, as flags: of one setting, where that is enough, each way; else of several together, of a
 * base as it is and of a quantised one.
 */
export function proposals(settings, fixed, fits) {
    const tried = new Map();
    const fitting = (change) => {
        const key = JSON.stringify(Object.entries(change).sort());
        const known = tried.get(key) ?? fits({ ...settings, ...change });
        tried.set(key, known);
        return known;
    };
    const ways = waysOf(settings, fixed);
    const { again, batches, formats, optimizers, bases, lengths, ranks } = ways;
    // A quantised base is computed with in another format, which may be enough alone.
    const lists = formats.some(fitting) ? Object.values({ ...ways, bases: [] }) : Object.values(ways);
    const singles = lists.flatMap((list) => list.find(fitting) ?? []);
    if (singles.length > 0)
        return singles.map((change) => asFlags(settings, change));
    // What changes the results least is given up first; the most of it is tried at once, and what was not needed taken back.
    const small = [...again, ...batches.slice(-1), ...formats];
    const together = (base) => {
        const begin = [...small, ...base];
        const steps = [[], optimizers];
        for (const length of lengths)
            steps.push([...optimizers, length]);
        for (const rank of ranks)
            steps.push([...optimizers, ...lengths.slice(-1), rank]);
        const enough = steps.map((step) => [...begin, ...step]).find((changes) => fitting(joined(changes)));
        if (!enough)
            return [];
        const least = needed(enough, fitting);
        // The largest batch that still fits.
        const rest = least.filter((change) => change !== batches.at(-1));
        const batch = rest.length === least.length ? undefined : batches.find((one) => fitting(joined([...rest, one])));
        return [joined(batch ? [...rest, batch] : least)];
    };
    const quantized = bases.map((base) => together([base])).find((found) => found.length > 0) ?? [];
    const lines = [...together([]), ...quantized].map((change) => asFlags(settings, change));
    return [...new Set(lines)];
}
