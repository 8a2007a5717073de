// The folder of Open MPI's own files.
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";

/** Where Open MPI 4 would keep its folder, in the order in which it looks. */
const PLACES = ["OMPI_MCA_orte_local_tmpdir_base", "OMPI_MCA_orte_tmpdir_base", "TMPDIR", "TEMP", "TMP"];

/**
 * The setting by which each mpirun of Open MPI 4 has a folder of its own, which it makes and removes. Those of a user otherwise share one:
 * each removes it where it is empty, when it starts and when it ends, and another that has just made it fails. Open MPI 5 shares none.
 */
export const SESSION = "OMPI_MCA_orte_top_session_dir";

/** A name that no other launch has, for SESSION. */
export function sessionFolder(environment: NodeJS.ProcessEnv): string {
  const place = PLACES.map((name) => environment[name]).find(Boolean) ?? "/tmp";
  // Short: the path of a socket has at most 107 bytes.
  return join(place, `lowrank-mpi-${randomBytes(6).toString("hex")}`);
}

/** Removes what an mpirun that was killed has left. */
export function removeSession(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // A folder that stays is no reason to lose the run's result.
  }
}
