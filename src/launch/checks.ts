import { LowrankError } from "../base/errors.js";
import { launchedBy, worldOf } from "../base/ranks.js";

const usage = (message: string, where?: string) => new LowrankError("E_USAGE", message, where);

/**
 * Refuses what cannot be meant of ranks that somebody else started: torchrun's processes, which know nothing of Open MPI, ranks
 * that would start ranks, and commands that train in one process.
 * @param command the command's name
 * @param asks whether its options ask for ranks
 * @throws LowrankError E_USAGE
 */
export function refuseRanks(command: string, asks: boolean, environment: NodeJS.ProcessEnv = process.env): void {
  const world = worldOf(environment);
  const { RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR } = environment;
  if (world !== null) {
    if (launchedBy(environment) !== null) return;
    if (command !== "train" && world.size > 1)
      throw usage(`lowrank ${command} trains in one process, and mpirun has started ${world.size} of it.`);
    if (asks) {
      const what = `this process is rank ${world.rank} of the ${world.size} that mpirun has started already`;
      throw usage(`--nproc_per_node: ${what}. Leave it out, as --hosts.`, "nproc_per_node");
    }
    return;
  }
  if (RANK === undefined || !(Number(WORLD_SIZE) > 1)) return;
  const told = { RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR };
  const shown = Object.entries(told).flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`));
  const remedy =
    "Ranks here are Open MPI's: start `lowrank train --nproc_per_node N [--hosts a:N,b:N]` once, or `mpirun -n N lowrank train ...`";
  throw usage(
    `${shown.join(" ")}: torchrun's variables, of which each process would train the whole run alone. ${remedy} (docs/distributed.md). To train in one process, unset RANK and WORLD_SIZE.`,
    "WORLD_SIZE",
  );
}
