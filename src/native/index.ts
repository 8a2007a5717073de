export { addonFolder, type FileLock } from "./addon.js";
export * from "./devices.js";
export { BASE, Engine } from "./engine.js";
export * from "./memory.js";
export * from "./model.js";
export * from "./quantize.js";
export { type AdapterEngine, Slot } from "./slot.js";
export * from "./spec.js";
export * from "./types.js";
