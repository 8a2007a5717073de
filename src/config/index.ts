export { type aliases, findRow, otherNames } from "./aliases.js";
export * from "./commands.js";
export { completion, SHELLS, type Shell } from "./completion.js";
export { byGroup, optionsDocument, shownDefault } from "./document.js";
export { type Flags, type Loaded, loadOptions, optionsFrom } from "./load.js";
export { type OptionsOf, optional, type Row, type Rows } from "./row.js";
export { jsonSchema } from "./schema.js";
export { configTemplate } from "./template.js";
export { messageOf, plainEntries, shownValue } from "./value.js";
