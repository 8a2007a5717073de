import { existsSync, realpathSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { checkpointFolder, checkpointProblem, listCheckpoints, readAdapter, readOptimizerState, readRunState, recoverCheckpoints, } from "../../checkpoint/index.js";
import { cpuInfo } from "../../native/index.js";
import { differences } from "./identity.js";
/** `--resume` without a folder. */
const LATEST = "latest";
/** Like that, or from the beginning where there is no checkpoint yet. */
export const AUTO = "auto";
function real(path) {
    return existsSync(path) ? realpathSync(path) : resolve(path);
}
/** Whether `--resume` means a checkpoint in this output folder, so that the run goes on there. */
export function liesIn(wanted, outputDir) {
    return wanted === LATEST || wanted === AUTO || real(dirname(resolve(wanted))) === real(outputDir);
}
/** The newest whole checkpoint of a folder; those that are not are told of. */
async function newestWhole(folder, skip, warn) {
    for (const checkpoint of (await listCheckpoints(folder)).reverse()) {
        if (skip !== null && resolve(checkpoint) === resolve(skip))
            continue;
        const problem = await checkpointProblem(checkpoint);
        if (problem === null)
            return checkpoint;
        warn(`${checkpoint} is damaged and passed over: ${problem}`);
    }
    return null;
}
async function chosen(wanted, outputDir, warn) {
    if (wanted === LATEST || wanted === AUTO) {
        const damaged = [];
        const found = await newestWhole(outputDir, null, (message) => {
            damaged.push(message);
            warn(message);
        });
        if (found !== null || (wanted === AUTO && damaged.length === 0))
            return found;
        const why = damaged.length === 0 ? "there is no checkpoint in it" : "no checkpoint in it is whole";
        const message = `--resume: ${outputDir} cannot be resumed, ${why}. Start again without --resume.`;
        throw new LowrankError("E_CHECKPOINT", message, outputDir);
    }
    if (!existsSync(wanted)) {
        const newest = await newestWhole(dirname(resolve(wanted)), wanted, () => { });
        throw new LowrankError("E_FILE_MISSING", `--resume ${wanted}: there is no such folder.${offer(newest)}`, wanted);
    }
    const problem = await checkpointProblem(wanted);
    if (problem === null)
        return wanted;
    const inside = await newestWhole(wanted, null, () => { });
    const other = inside ?? (await newestWhole(dirname(resolve(wanted)), wanted, () => { }));
    const what = inside === null ? "is damaged or no checkpoint" : "is no checkpoint";
    throw new LowrankError("E_CHECKPOINT", `--resume ${wanted} ${what}: ${problem}.${offer(other)}`, wanted);
}
function offer(checkpoint) {
    if (checkpoint === null)
        return " There is no whole checkpoint beside it.";
    const short = relative(process.cwd(), checkpoint);
    return ` The newest whole one is --resume ${short.startsWith("..") ? checkpoint : short}.`;
}
/**
 * Finds the checkpoint that `--resume` means and reads what is not large of it.
 * @param looksOnly whether nothing may be changed, not even put back
 * @returns null where `auto` finds none
 * @throws LowrankError E_CHECKPOINT, E_FILE_MISSING
 */
export async function findCheckpoint(wanted, outputDir, warn, looksOnly = false) {
    const inPlace = liesIn(wanted, outputDir);
    if (inPlace && !looksOnly)
        await recoverCheckpoints(outputDir);
    const folder = await chosen(wanted, outputDir, warn);
    if (folder === null)
        return null;
    const { state, history } = readRunState(folder);
    const within = inPlace ? outputDir : dirname(resolve(folder));
    return { folder, state, history, inPlace, best: await findBest(state, within, folder, warn) };
}
async function findBest(state, within, own, warn) {
    const metrics = state.best_eval;
    if (metrics === null)
        return null;
    if (metrics.step === state.step)
        return { metrics, folder: own };
    const folder = checkpointFolder(within, metrics.step);
    const problem = await checkpointProblem(folder);
    if (problem === null)
        return { metrics, folder };
    // Beside a later checkpoint that is better yet it was removed, and that one will be made again.
    warn(`the best checkpoint so far, ${folder}, is gone (${problem}): the best of the steps to come is kept`);
    return null;
}
/** @throws LowrankError E_RESUME naming every setting that is not the checkpoint's, with both values */
export function checkAgreement({ folder, state }, settings, warn) {
    const found = differences(settings, state.settings);
    if (found.length > 0) {
        const lines = found.map((line) => `\n  ${line}`).join("");
        const advice = `Give the options of the run that wrote it, or begin another run with --init_adapter ${folder}.`;
        throw new LowrankError("E_RESUME", `--resume ${folder}: this would not be the same run:${lines}\n${advice}`, folder);
    }
    const { isa } = cpuInfo();
    if (isa !== state.cpu) {
        warn(`the checkpoint was made with ${state.cpu} kernels, this is ${isa}: the run goes on, but its last bits differ`);
    }
}
/** Puts the adapter and the optimizer's state of the checkpoint into the engine. */
export async function restore({ folder }, engine, model) {
    await engine.setAdapter(readAdapter(folder, model).tensors);
    await engine.setOptimizerState(readOptimizerState(folder));
}
