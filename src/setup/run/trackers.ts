import { join } from "node:path";
import {
  MetricsFile,
  Mlflow,
  mlflowSettings,
  TensorBoard,
  type Tracker,
  Wandb,
  wandbSettings,
} from "../../tracking/trackers/index.js";
import type { RunOptions } from "./options.js";

type Wanted = Pick<
  RunOptions,
  "output_dir" | "report_to" | "use_wandb" | "wandb_project" | "wandb_entity" | "run_name"
>;

const wantsWandb = ({ report_to, use_wandb }: Wanted) => use_wandb || report_to.includes("wandb");

/** Refuses what can be known before a run to fail. @throws LowrankError E_USAGE */
export function checkTrackers(o: Wanted): void {
  if (wantsWandb(o)) wandbSettings(o);
  if (o.report_to.includes("mlflow")) mlflowSettings(o);
}

/**
 * The trackers that a run's options ask for.
 * @param config the run's settings, as trackers show them
 * @throws LowrankError E_USAGE
 */
export function trackersOf(o: Wanted, config: Record<string, unknown>): Tracker[] {
  const { output_dir: folder } = o;
  if (folder === undefined) return [];
  const trackers: Tracker[] = [new MetricsFile(join(folder, "metrics.jsonl"))];
  if (o.report_to.includes("tensorboard")) trackers.push(new TensorBoard(join(folder, "runs")));
  const wandb = wantsWandb(o) ? wandbSettings(o) : undefined;
  if (wandb && wandb.mode !== "disabled") trackers.push(new Wandb(wandb, folder, config));
  if (o.report_to.includes("mlflow")) trackers.push(new Mlflow(mlflowSettings(o), folder, config));
  return trackers;
}
