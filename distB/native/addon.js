import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { LowrankError } from "../base/errors.js";
let addon;
const here = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const require = createRequire(import.meta.url);
/** What the prebuilt addon's package for this machine is called. */
const prebuilt = `lowrank-${process.platform}-${process.arch}`;
/** The C library, in words; undefined where it cannot be told. */
function libc() {
    const { header } = (process.report?.getReport() ?? {});
    if (process.platform !== "linux" || !header)
        return undefined;
    return header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : "another C library than glibc (musl)";
}
/** The prebuilt addon's file. @throws Error saying why there is none that fits */
function prebuiltFile(version) {
    let manifest;
    try {
        manifest = require.resolve(`${prebuilt}/package.json`);
    }
    catch {
        throw new Error("not installed");
    }
    const found = require(manifest).version;
    if (found !== version) {
        throw new Error(`version ${found}, but this lowrank is ${version}: npm install ${prebuilt}@${version}`);
    }
    return require.resolve(prebuilt);
}
/** The native addon, loaded at first use. @throws LowrankError naming every place that was tried. */
export function native() {
    if (addon)
        return addon;
    const { version } = require("../../package.json");
    const tried = [];
    const attempt = (place, file) => {
        try {
            addon = require(file());
        }
        catch (error) {
            tried.push(`${place}: ${error.message}`);
        }
        return addon;
    };
    // LOWRANK_BUILD is for builds beside the usual ones, such as one with sanitizers.
    const other = process.env.LOWRANK_BUILD;
    for (const config of other ? [other] : ["Release", "Debug"]) {
        const path = here(`build/${config}/lowrank.node`);
        if (!existsSync(path))
            tried.push(`${path}: not there`);
        else if (attempt(path, () => path))
            return addon;
    }
    if (!other && attempt(`package ${prebuilt}`, () => prebuiltFile(version)))
        return addon;
    const machine = [`${process.platform} ${process.arch}`, libc()].filter(Boolean).join(", ");
    throw new LowrankError("E_NO_ADDON", `The native addon could not be loaded. Tried:\n  ${tried.join("\n  ")}\n` +
        `Prebuilt for linux x64 with glibc 2.28 or newer (lowrank-linux-x64@${version}); this is ${machine}.\n` +
        `Build it with: node ${here("scripts/build-native.cjs")}`);
}
