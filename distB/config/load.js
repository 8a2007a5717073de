import { LowrankError } from "../base/errors.js";
import { suggestion } from "../base/nearest.js";
import { aliases, canonical, findRow, hintFor } from "./aliases.js";
import { commandList, commands } from "./commands.js";
import { parseText } from "./row.js";
import { laterRows } from "./rows.js";
import { plainEntries, shownValue } from "./value.js";
const ENVIRONMENT = "LOWRANK_";
/** Of a name in a message. */
const LONGEST_NAME = 200;
/** Environment variables that are not options. */
const OTHER_VARIABLES = ["CPU", "DEBUG", "BUILD"];
const allNames = new Set(commandList.flatMap(({ rows }) => Object.keys(rows)));
/** Of commands that read a file of options: what it may hold, whichever command it is for. */
const namesInFiles = new Set(commandList.flatMap(({ rows }) => ("config" in rows ? Object.keys(rows) : [])));
/** Shorter names are too near to anything. */
const longAliases = Object.keys(aliases).filter((name) => name.length >= 5);
const asFlag = (option, value) => `--${option}${value === undefined ? "" : ` ${value}`}`;
const asKey = (option, value) => option + (value === undefined ? "" : `: ${value}`);
const asVariable = (option, value) => ENVIRONMENT + option.toUpperCase() + (value === undefined ? "" : `=${value}`);
const MOST_PROBLEMS = 30;
/** Collects what is wrong, so that one message names it all. */
class Problems {
    #lines = [];
    #command;
    #isCommandLine;
    #where;
    #more = 0;
    constructor(command, isCommandLine) {
        this.#command = command;
        this.#isCommandLine = isCommandLine;
    }
    /** How the user would write an option. */
    spelled(key) {
        return this.#isCommandLine ? `--${key}` : key;
    }
    /** Whether there are as many as one message names: no more are looked for. */
    get isFull() {
        return this.#lines.length >= MOST_PROBLEMS;
    }
    /** @param key the option concerned, or what stands in its place */
    add(key, line) {
        this.#where ??= key;
        if (this.isFull)
            this.#more++;
        else
            this.#lines.push(line);
    }
    /** `name` is no option of the command, or of those that are known. `written` is how the user spelled it. */
    unknown(name, written, spelled, known = Object.keys(this.#command.rows)) {
        if (this.isFull) {
            this.#more++;
            return;
        }
        const { name: command } = this.#command;
        const later = Object.hasOwn(laterRows, name) ? laterRows[name] : undefined;
        const meant = canonical(name);
        const hint = hintFor(name, spelled);
        if (later !== undefined)
            this.add(name, `${written}: ${later}`);
        else if (known.includes(meant))
            this.add(name, `${written}: unknown option (did you mean ${spelled(meant)}?)`);
        else if (allNames.has(meant)) {
            const other = meant === name ? "" : ` (another name of ${spelled(meant)})`;
            this.add(name, `${written}: not an option of ${this.#isCommandLine ? "lowrank " : ""}${command}${other}`);
        }
        else if (hint !== undefined)
            this.add(name, `${written}: unknown option; ${hint}`);
        else {
            const others = longAliases.filter((alias) => known.includes(canonical(alias)));
            const near = suggestion(name, [...known, ...others], (found) => spelled(canonical(found)));
            this.add(name, `${written.slice(0, LONGEST_NAME)}: unknown option${near}`);
        }
    }
    throwIfAny() {
        if (this.#lines.length === 0)
            return;
        const [first] = this.#lines;
        const count = this.#lines.length + this.#more;
        const more = this.#more > 0 ? [`and ${this.#more} more`] : [];
        const text = count === 1 ? first : `${count} problems:\n  ${[...this.#lines, ...more].join("\n  ")}`;
        const all = this.#isCommandLine ? `lowrank ${this.#command.name} --help` : "docs/library.md";
        throw new LowrankError("E_USAGE", `${text}\nAll options: ${all}`, this.#where);
    }
}
/** Adds what somebody gave under the option's own name or another one; both are one too many. */
function put(into, key, candidate, problems) {
    const before = into.get(key);
    if (before === undefined)
        into.set(key, candidate);
    else
        problems.add(key, `${candidate.written}: given beside ${before.written}, which means the same`);
}
/** @returns keys that only other commands than this one and `train` know */
async function fromFile(file, rows, into, problems) {
    const { readYaml } = await import("./yaml.js");
    const ignored = [];
    for (const { key, value, where } of readYaml(file)) {
        const written = `${where}: ${key}`;
        const row = findRow(rows, key);
        if (key === "config")
            problems.add(key, `${written}: a file of options names no other`);
        else if (row)
            put(into, row.key, { value, written }, problems);
        else if (!namesInFiles.has(canonical(key)))
            problems.unknown(key, written, asKey, [...namesInFiles]);
        else if (!findRow(commands.train.rows, key))
            ignored.push(written);
    }
    return ignored;
}
function fromEnvironment(environment, rows, problems) {
    const found = new Map();
    for (const [variable, text] of Object.entries(environment)) {
        if (!variable.startsWith(ENVIRONMENT) || !text)
            continue;
        const key = variable.slice(ENVIRONMENT.length).toLowerCase();
        const option = findRow(rows, key);
        if (option)
            put(found, option.key, { value: parseText(option.row, text), written: variable }, problems);
        else if (Object.hasOwn(laterRows, key))
            problems.unknown(key, variable, asVariable);
        else if (!allNames.has(canonical(key)) && !OTHER_VARIABLES.includes(variable.slice(ENVIRONMENT.length))) {
            // Variables of other programs may begin alike: only what looks like a slip of the pen is refused.
            const near = suggestion(key, Object.keys(rows), (name) => asVariable(name));
            const hint = hintFor(key, asVariable);
            if (hint !== undefined && "config" in rows)
                problems.add(key, `${variable}: unknown option; ${hint}`);
            else if (near)
                problems.add(key, `${variable}: unknown option${near}`);
        }
    }
    return found;
}
function fromFlags(flags, rows, problems) {
    const found = new Map();
    for (const [name, texts] of flags.values) {
        const written = `--${name}`;
        const { key, row } = findRow(rows, name);
        if (texts.length > 1)
            problems.add(key, `${written}: given ${texts.length} times (${texts.join(", ")}), expected once`);
        else
            put(found, key, { value: texts[0] === "" ? undefined : parseText(row, texts[0]), written }, problems);
    }
    flags.strays.forEach((token, i) => {
        const name = /^--?([^=]+)/.exec(token)?.[1];
        if (name !== undefined)
            problems.unknown(name.replaceAll("-", "_"), token.split("=")[0], asFlag);
        // What follows an unknown option is its value, not one more problem.
        else if (!flags.strays[i - 1]?.startsWith("-"))
            problems.add(token, `${shownValue(token)}: expected an option (--name)`);
    });
    return found;
}
/**
 * The options of a command: defaults, then the YAML file, then the environment, then flags.
 * @throws LowrankError E_USAGE with everything that is wrong with them
 */
export async function loadOptions(command, flags, environment) {
    const rows = command.rows;
    const problems = new Problems(command, true);
    const byFlag = fromFlags(flags, rows, problems);
    const byVariable = fromEnvironment(environment, rows, problems);
    const given = new Map();
    const file = byFlag.get("config") ?? byVariable.get("config");
    const ignored = typeof file?.value === "string" ? await fromFile(file.value, rows, given, problems) : [];
    for (const [key, candidate] of [...byVariable, ...byFlag])
        given.set(key, candidate);
    return { ...validated(rows, given, problems), ignored };
}
/**
 * The options of a command from an object; what is undefined counts as not given.
 * @throws LowrankError E_ARGUMENT for anything but a plain object, E_USAGE with everything that is wrong with the options
 */
export function optionsFrom(command, object) {
    const problems = new Problems(command, false);
    const given = new Map();
    for (const [key, value] of plainEntries(object, command.name)) {
        if (value === undefined)
            continue;
        const option = findRow(command.rows, key);
        if (option)
            put(given, option.key, { value, written: key }, problems);
        else
            problems.unknown(key, key, asKey);
    }
    return { ...validated(command.rows, given, problems), ignored: [] };
}
/** Undefined where code of the value itself throws, as of a getter or a proxy. */
function parse(schema, value) {
    try {
        return schema.safeParse(value);
    }
    catch {
        return undefined;
    }
}
function validated(rows, given, problems) {
    const options = {};
    for (const [key, row] of Object.entries(rows)) {
        const candidate = given.get(key);
        // An optional key of a file may be left empty; a flag or a key with a default may not.
        const left = candidate !== undefined && candidate.value === undefined;
        if (left && (candidate.written.startsWith("--") || row.required || row.defaultValue !== undefined)) {
            problems.add(key, `${candidate.written}: expected ${row.expects}, found nothing`);
            continue;
        }
        const parsed = parse(row.schema, candidate?.value === undefined ? row.defaultValue : candidate.value);
        if (parsed?.success)
            options[key] = parsed.data;
        else if (candidate === undefined)
            problems.add(key, `${problems.spelled(key)}: missing; expected ${row.expects} (${row.help})`);
        else
            problems.add(key, `${candidate.written}: expected ${row.expects}, found ${shownValue(candidate.value)}`);
    }
    problems.throwIfAny();
    const used = [...given].filter(([, { value }]) => value !== undefined).map(([key]) => key);
    return { options: options, given: new Set(used) };
}
