// The live page of a training run, whose code is loaded where it is asked for.
import type { CommandOptions } from "../config/index.js";
import type { RunWork } from "../setup/run/train.js";
import type { Reporter } from "../trainer/index.js";
import type { TrainDisplay } from "./train-display.js";

export interface LivePage {
  /** "Stop and save" of the page, or a signal of the process. */
  signal: AbortSignal;
  report: Reporter;
  between: NonNullable<RunWork["between"]> | undefined;
  close(): Promise<void>;
}

type Options = Pick<CommandOptions<"train">, "dashboard" | "dashboard_runs" | "output_dir">;

/** @param signal of the process */
export async function livePage(o: Options, display: TrainDisplay, signal: AbortSignal): Promise<LivePage> {
  if (!o.dashboard) return { signal, report: display.report, between: undefined, close: async () => {} };
  const { Controls, Dashboard } = await import("../dashboard/index.js");
  const controls = new Controls();
  const dashboard = await Dashboard.start([o.output_dir, ...(o.dashboard_runs ?? [])], controls);
  display.progress.clearLine();
  // The address holds the token, which stands in no file.
  process.stderr.write(`live page: ${dashboard.url}\n`);
  const either = AbortSignal.any([signal, controls.signal]);
  return {
    signal: either,
    report: async (event) => {
      dashboard.event(event);
      await display.report(event);
    },
    between: (write) => controls.between(write, either),
    close: async () => {
      controls.end();
      await dashboard.close();
    },
  };
}
