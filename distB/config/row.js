import { z } from "zod";
/** Rows of one heading. */
export const section = (group) => ({ bits: { group, decides: "bits" }, nothing: { group, decides: "nothing" } });
/** The ways a row can treat a value that nobody gave: an error, `undefined` or a default. */
function built(schema, kind, expects, place, help) {
    const row = { kind, expects, ...place, help };
    return {
        required: () => ({ ...row, schema, defaultValue: undefined, required: true }),
        optional: () => ({ ...row, schema: schema.optional(), defaultValue: undefined, required: false }),
        or: (value) => ({ ...row, schema, defaultValue: value, required: false }),
    };
}
/** The other rows. */
export function without(rows, ...names) {
    return Object.fromEntries(Object.entries(rows).filter(([name]) => !names.includes(name)));
}
/** The same row where nobody needs to give a value, and there is no default. */
export function optional(row) {
    return { ...row, schema: row.schema.optional(), required: false, defaultValue: undefined };
}
export function text(expects, place, help) {
    return built(z.string().min(1), "text", expects, place, help);
}
/** Several texts: a list in YAML, or one text with commas. */
export function texts(expects, place, help) {
    const list = z.array(z.string().trim().min(1)).min(1);
    const commas = z.string().transform((value) => value.split(","));
    return built(z.union([list, commas.pipe(list)]), "text", expects, place, help);
}
/** Names joined by commas: one text, or a list. */
export function nameList(expects, place, help) {
    const list = z.array(z.string().trim().min(1)).min(1);
    const joined = list.transform((names) => names.join(","));
    return built(z.union([z.string().min(1), joined]), "text", expects, place, help);
}
/** @param others what other trainers call these values */
export function choice(values, place, help, others = {}) {
    const about = `${values.join(", ")}: ${help}`;
    const own = z.enum(values);
    const names = Object.keys(others);
    const schema = names.length > 0
        ? z.union([own, z.enum(names).transform((name) => others[name])])
        : own;
    return built(schema, "text", values.join(" or "), place, about);
}
export function flag(place, help) {
    return built(z.boolean(), "flag", "true or false", place, help);
}
/** What only programs can give, and no text stands for. */
export function custom(expects, test, help) {
    return built(z.custom(test), "text", expects, section("").nothing, help);
}
/** A text that may also be left out (`bare`), as `--name`, or switched off, as `--no-name`. */
export function textOrBare(bare, expects, place, help) {
    const meaning = (value) => {
        if (value === true || value === "true")
            return bare;
        return value === false || value === "false" ? undefined : value;
    };
    const row = built(z.string().min(1), "text", expects, place, help).optional();
    return { ...row, bare, schema: z.preprocess(meaning, row.schema) };
}
const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?$/i;
/** A number of bytes, also as a text with a unit: 6GB is 6 * 10^9, 6GiB (or 6G) is 6 * 2^30. */
export function size(place, help) {
    const schema = z.union([z.number(), z.string()]).transform((value, context) => {
        const [, digits, unit = "", binary] = SIZE.exec(String(value).trim()) ?? [];
        const isDecimal = binary === "" && /b$/i.test(String(value));
        const bytes = Math.floor(Number(digits) * (isDecimal ? 1000 : 1024) ** " kmgt".indexOf(unit.toLowerCase() || " "));
        if (digits !== undefined && bytes > 0)
            return bytes;
        context.addIssue({ code: "custom" });
        return z.NEVER;
    });
    return built(schema, "text", "a size such as 6GB or 512MiB", place, help);
}
function range({ min, max, above, below }) {
    if (min !== undefined && max !== undefined)
        return ` from ${min} to ${max}`;
    const parts = [];
    if (min !== undefined)
        parts.push(`of at least ${min}`);
    if (max !== undefined)
        parts.push(`of at most ${max}`);
    if (above !== undefined)
        parts.push(`above ${above}`);
    if (below !== undefined)
        parts.push(`below ${below}`);
    return parts.length ? ` ${parts.join(" and ")}` : "";
}
function bounded(schema, r) {
    let bound = schema;
    if (r.min !== undefined)
        bound = bound.min(r.min);
    if (r.max !== undefined)
        bound = bound.max(r.max);
    if (r.above !== undefined)
        bound = bound.gt(r.above);
    if (r.below !== undefined)
        bound = bound.lt(r.below);
    return bound;
}
export function integer(limits, place, help) {
    return built(bounded(z.int(), limits), "number", `a whole number${range(limits)}`, place, help);
}
export function number(limits, place, help) {
    return built(bounded(z.number(), limits), "number", `a number${range(limits)}`, place, help);
}
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const BOOLEANS = new Map([
    ...["true", "yes", "1"].map((word) => [word, true]),
    ...["false", "no", "0"].map((word) => [word, false]),
]);
/** The value that a flag's or variable's text stands for; text that stands for none is left for the schema to refuse. */
export function parseText(row, value) {
    if (row.kind === "number")
        return NUMBER.test(value.trim()) ? Number(value) : value;
    if (row.kind === "flag")
        return BOOLEANS.get(value.trim().toLowerCase()) ?? value;
    return value;
}
