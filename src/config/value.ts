// Values that somebody gave, of any type and size, in messages and as objects of options.
import { inspect } from "node:util";
import { LowrankError } from "../base/errors.js";

const LONGEST = 80;

const cut = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text);

/** A value that somebody gave, short enough for a message. Runs no code of the value, and never throws. */
export function shownValue(value: unknown): string {
  if (value === undefined || value === "") return "nothing";
  if (typeof value === "string")
    return value.length > LONGEST ? `${JSON.stringify(value.slice(0, LONGEST))}...` : JSON.stringify(value);
  if (typeof value === "function") return "a function";
  try {
    const options = { depth: 1, maxArrayLength: 3, maxStringLength: 40, breakLength: Infinity, customInspect: false };
    return cut(inspect(value, options).replaceAll(/\s+/g, " "));
  } catch {
    return `one ${typeof value}`;
  }
}

/** Whether it is an object with nothing but properties: `{ ... }`, also of another realm. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return (
    prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty"))
  );
}

/** Far above the number of options there are. */
const MOST_KEYS = 1000;

/**
 * The own properties of an object of options, each read once.
 * @param what the owner of the options, such as `Trainer.create`
 * @throws LowrankError E_ARGUMENT for anything but a plain object, and where reading it fails
 */
export function plainEntries(value: unknown, what: string): [string, unknown][] {
  const expected = (found: string, cause?: unknown) =>
    new LowrankError("E_ARGUMENT", `${what}: expected an object of options, found ${found}.`, what, { cause });
  let name = "";
  try {
    if (!isPlain(value)) throw expected(shownValue(value));
    const keys = Object.keys(value);
    if (keys.length > MOST_KEYS) throw expected(`one with ${keys.length} properties`);
    return keys.map((key) => {
      name = key;
      return [key, value[key]];
    });
  } catch (error) {
    if (error instanceof LowrankError) throw error;
    throw expected(`one that cannot be read${name && `, at ${name}`} (${messageOf(error)})`, error);
  }
}

/** The message of a thrown value of any kind. */
export function messageOf(thrown: unknown): string {
  try {
    return cut(thrown instanceof Error ? String(thrown.message) : shownValue(thrown));
  } catch {
    return "an error without a message";
  }
}
