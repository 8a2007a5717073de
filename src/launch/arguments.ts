// The command line of mpirun and the environment of its ranks.
import { LAUNCHED } from "../base/ranks.js";
import { HERE, type Host, rankCount } from "./hosts.js";
import type { Mpirun } from "./mpirun.js";
import { SESSION } from "./session.js";

/** Variables that a rank on another machine needs, too. Their values travel in mpirun's own messages, on no command line. */
const PASSED =
  /^(HF_|HUGGING|LOWRANK_|WANDB_|MLFLOW_|NCCL_|UCX_|(https?|all|no)_proxy$|NODE_OPTIONS$|NODE_EXTRA_CA_CERTS$|NO_COLOR$|CI$|XDG_CACHE_HOME$|SSL_CERT_)/i;

/** Names of the variables of an environment that ranks are given. */
export function passedVariables(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment)
    .filter((name) => environment[name] !== undefined && PASSED.test(name))
    .sort();
}

const inFront = (folder: string, others: string | undefined) => (others ? `${folder}:${others}` : folder);

/**
 * mpirun's environment.
 * @param stderr what the launcher's standard error is (launchersTerminal)
 * @param session folder for Open MPI's own files, which need not exist
 */
export function rankEnvironment(
  { major, libraries }: Pick<Mpirun, "major" | "libraries">,
  environment: NodeJS.ProcessEnv,
  hosts: readonly Host[],
  stderr: string,
  session: string,
): NodeJS.ProcessEnv {
  const isLocal = hosts.every(({ name }) => name === HERE);
  return {
    // Containers often forbid one process to read another's memory, which 4.1 tells of with every message.
    OMPI_MCA_btl_vader_single_copy_mechanism: "none",
    // A rank that waits leaves its processor to others.
    OMPI_MCA_mpi_yield_when_idle: "1",
    // 4.1 looks for ssh and opens ports even where no other machine is named. 5.0 does neither.
    ...(isLocal ? { OMPI_MCA_plm_rsh_agent: "" } : {}),
    // Other machines would have to have the folder's place, too.
    ...(isLocal && major < 5 ? { OMPI_MCA_btl: "self,vader", [SESSION]: session } : {}),
    ...environment,
    // Another Open MPI's library may be the system's.
    ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: inFront(libraries, environment.LD_LIBRARY_PATH) }),
    [LAUNCHED]: stderr,
  };
}

/** mpirun's arguments. @param command program and arguments of a rank */
export function mpirunArguments(
  hosts: readonly Host[],
  environment: NodeJS.ProcessEnv,
  command: readonly string[],
  isRoot = process.getuid?.() === 0,
): string[] {
  return [
    "-n",
    `${rankCount(hosts)}`,
    "--host",
    hosts.map(({ name, ranks }) => `${name}:${ranks}`).join(),
    // The engine has threads of its own: a rank that is bound to one processor would have no use of them.
    "--bind-to",
    "none",
    ...(isRoot ? ["--allow-run-as-root"] : []),
    ...passedVariables(environment).flatMap((name) => ["-x", name]),
    ...command,
  ];
}
