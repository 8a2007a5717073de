// The one owner of the `yaml` package.
export { isMap, isNode, isScalar, LineCounter, parse, parseDocument } from "yaml";
