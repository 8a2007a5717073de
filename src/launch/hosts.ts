import { LowrankError } from "../base/errors.js";

/** A machine and the ranks that it takes. */
export interface Host {
  name: string;
  ranks: number;
}

/** The machine itself, where none is named. */
export const HERE = "localhost";
const MOST_RANKS = 4096;

const usage = (message: string) => new LowrankError("E_USAGE", message, "hosts");

/**
 * The machines of a run. `a:4,b:4` names ranks; a machine without a number takes `perNode`.
 * @throws LowrankError E_USAGE
 */
export function readHosts(hosts: readonly string[] | undefined, perNode: number | undefined): Host[] {
  if (hosts === undefined) return [{ name: HERE, ranks: perNode ?? 1 }];
  const found = hosts.map((text): Host => {
    // A number after the last colon: IPv6 addresses stand in brackets.
    const [, name, ranks] = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][\w.-]*)(?::(\d{1,4}))?$/.exec(text.trim()) ?? [];
    const taken = ranks === undefined ? perNode : Number(ranks);
    if (name === undefined || taken === 0)
      throw usage(`--hosts: expected HOST or HOST:RANKS with at least one rank, found ${JSON.stringify(text)}`);
    if (taken === undefined)
      throw usage(`--hosts: ${name} has no number of ranks; write ${name}:RANKS, or add --nproc_per_node`);
    return { name, ranks: taken };
  });
  const twice = found.find(({ name }, i) => found.findIndex((other) => other.name === name) !== i);
  if (twice) throw usage(`--hosts: ${twice.name} stands there twice; name it once, with all of its ranks`);
  if (rankCount(found) > MOST_RANKS)
    throw usage(`--hosts: ${rankCount(found)} ranks in all, expected at most ${MOST_RANKS}`);
  return found;
}

export const rankCount = (hosts: readonly Host[]): number => hosts.reduce((sum, { ranks }) => sum + ranks, 0);
