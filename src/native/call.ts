import { LowrankError } from "../base/errors.js";

/** Errors of the native code as `LowrankError`. */
function rethrow(error: unknown): never {
  const e = error as { code?: string; message?: string; where?: string };
  if (typeof e?.code === "string" && e.code.startsWith("E_")) {
    throw new LowrankError(e.code, e.message ?? "unknown native error", e.where, { cause: error });
  }
  throw error;
}

export async function call<T>(f: () => Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (error) {
    rethrow(error);
  }
}

export function callSync<T>(f: () => T): T {
  try {
    return f();
  } catch (error) {
    rethrow(error);
  }
}
