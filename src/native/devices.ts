// Where an engine computes: the processor, or another device.
import { native } from "./addon.js";
import { callSync } from "./call.js";
import { cpuInfo } from "./model.js";
import type { Devices } from "./types.js";

/** The processor's name among devices. */
export const CPU = "cpu";

/** What there is besides the processor, and why there is nothing else. */
export function devices(): Devices {
  return callSync(() => native().devices());
}

/** Whether an engine can be made on it. */
export function hasDevice(device = CPU): boolean {
  return device === CPU || devices().found.some(({ name }) => name === device);
}

/** The kernels that decide the last bits of a result on this device, such as "avx512bf16" or "cuda". */
export function kernelsOf(device = CPU): string {
  return device === CPU ? cpuInfo().isa : device.split(":")[0]!;
}

/** Why ranks cannot train together here, in words; null where they can. */
export function groupProblem(): string | null {
  return callSync(() => native().groupProblem()) || null;
}
