export * from "./commands.js";
export { byGroup, optionsDocument, shownDefault } from "./document.js";
export { type Flags, type Loaded, loadOptions, optionsFrom } from "./load.js";
export { type OptionsOf, optional, type Row, type Rows } from "./row.js";
