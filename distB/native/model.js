// The addon's answers about a model and this machine, without an engine.
import { native } from "./addon.js";
import { callSync } from "./call.js";
export function cpuInfo() {
    return callSync(() => native().cpuInfo());
}
/** Architectures (`model_type`) that the native code knows. */
export function supportedArchitectures() {
    return native().supportedArchitectures();
}
/**
 * Every linear of the model that can carry an adapter, in order of use.
 * @throws LowrankError where a tensor is missing or has the wrong shape.
 */
export function listLinears(source) {
    return callSync(() => native().listLinears(source));
}
/** What an engine with these options will allocate. Nothing is allocated here. */
export function planMemory(source, adapter, options) {
    const items = callSync(() => native().planMemory(source, adapter, options));
    return { items, totalBytes: items.reduce((sum, item) => sum + item.bytes, 0) };
}
