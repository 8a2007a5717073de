export { Controls } from "./controls.js";
export { Dashboard } from "./server.js";
