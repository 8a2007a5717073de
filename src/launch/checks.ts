import { LowrankError } from "../base/errors.js";
import { launchedBy, type Task, taskOf, worldOf } from "../base/ranks.js";

/** Of tasks of srun that know nothing of each other. */
function withoutPlugin(command: string, { tasks, plugin }: Task): string {
  const how = plugin === undefined ? "without --mpi=pmix" : `with --mpi=${plugin}`;
  const found = `srun has started ${tasks} tasks of lowrank ${command} ${how}, of which each would train the whole run alone and write the same folder.`;
  const one = `To train in one process, start one task: srun --ntasks=1 --cpus-per-task=N lowrank ${command} ...`;
  if (command !== "train") return `${found} ${one}`;
  return `${found} Start them as ranks of one run: srun --mpi=pmix lowrank train ... (docs/distributed.md; srun --mpi=list tells whether this Slurm has it), or mpirun lowrank train ... ${one}`;
}

const usage = (message: string, where?: string) => new LowrankError("E_USAGE", message, where);

/**
 * Refuses what cannot be meant of ranks that somebody else started: processes of torchrun and of srun without PMIx, which know
 * nothing of each other, ranks that would start ranks, and commands that train in one process.
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
      throw usage(`lowrank ${command} trains in one process, and ${world.by} has started ${world.size} of it.`);
    if (asks) {
      const what = `this process is rank ${world.rank} of the ${world.size} that ${world.by} has started already`;
      throw usage(`--nproc_per_node: ${what}. Leave it out, as --hosts.`, "nproc_per_node");
    }
    return;
  }
  const task = taskOf(environment);
  if (task !== null) throw usage(withoutPlugin(command, task), "SLURM_STEP_NUM_TASKS");
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
