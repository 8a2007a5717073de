// The one owner of the `yaml` package.
import { loadPackage } from "./packages.js";

/** Loaded where a text of YAML is read: most commands read none. */
export const yaml = () => loadPackage("yaml") as typeof import("yaml");
