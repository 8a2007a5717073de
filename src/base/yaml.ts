// The one owner of the `yaml` package.
import { createRequire } from "node:module";

/** Loaded where a text of YAML is read: most commands read none. */
export const yaml = () => createRequire(import.meta.url)("yaml") as typeof import("yaml");
