import { type Rows } from "../config/index.js";
/**
 * Rewrites arguments so that every known option has one spelling, `--lora_r=8`: dashes become underscores, `--shuffle`
 * and `--no-shuffle` become `=true` and `=false`, an option that lacks its value gets an empty one. Values are left alone,
 * and so is everything that is no known option. Another name of an option stays, as messages say what was written.
 */
export declare function normalise(argv: readonly string[], rows: Rows): string[];
