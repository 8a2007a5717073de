// The data that crosses the addon.
export const PRECISIONS = ["fp32", "bf16", "fp16"];
export const OPTIMIZERS = ["adamw", "adamw_8bit"];
