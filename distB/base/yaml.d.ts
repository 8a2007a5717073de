export { isMap, isNode, isScalar, LineCounter, parse, parseDocument } from "yaml";
