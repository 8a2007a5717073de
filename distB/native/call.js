import { LowrankError } from "../base/errors.js";
/** Errors of the native code as `LowrankError`. */
function rethrow(error) {
    const e = error;
    if (typeof e?.code === "string" && e.code.startsWith("E_")) {
        throw new LowrankError(e.code, e.message ?? "unknown native error", e.where, { cause: error });
    }
    throw error;
}
export async function call(f) {
    try {
        return await f();
    }
    catch (error) {
        rethrow(error);
    }
}
export function callSync(f) {
    try {
        return f();
    }
    catch (error) {
        rethrow(error);
    }
}
