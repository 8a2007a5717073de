// Events of several runs on one log and one bar.
import { bytes, columns, count } from "../base/text.js";
import { parameterCounts } from "../setup/memory/plan.js";
import { memoryTable } from "../setup/memory/room.js";
import type { SweepPlan } from "../setup/sweep/plan.js";
import type { SweepRun } from "../setup/sweep/runs.js";
import type { Reporter, TrainerEvent } from "../trainer/index.js";
import type { TrainDisplay } from "./train-display.js";
import { reporter } from "./training-lines.js";

/** Shows each event with the name of its run; the bar counts the steps of all. */
export function sweepReporter(display: TrainDisplay): (run: string, event: TrainerEvent) => Promise<void> {
  const { log, progress } = display;
  const reporters = new Map<string, Reporter>();
  const totals = new Map<string, number>();
  const steps = new Map<string, number>();
  const sum = (numbers: Map<string, number>) => [...numbers.values()].reduce((all, one) => all + one, 0);
  const reporterOf = (run: string) => {
    const before = (write: (line: string) => void) => (line: string) => write(`${run}: ${line}`);
    return reporter({
      log: {
        info: before((line) => log.info(line)),
        verbose: before((line) => log.verbose(line)),
        warn: before((line) => log.warn(line)),
        print: before((line) => log.print(line)),
      },
      progress: {
        start: (task, total) => {
          totals.set(run, total);
          progress.start(task, sum(totals));
          progress.update(sum(steps));
        },
        update: (step, note) => {
          steps.set(run, step);
          progress.update(sum(steps), note && `${run}: ${note}`);
        },
      },
    });
  };
  return async (run, event) => {
    let show = reporters.get(run);
    if (!show) {
      show = reporterOf(run);
      reporters.set(run, show);
    }
    await show(event);
    if (event.type !== "evaluating") display.tell({ run, ...event });
  };
}

/** Tells the adapters and the memory of all of them. */
export function showPlan(display: TrainDisplay, runs: readonly SweepRun<unknown>[], { runs: plans }: SweepPlan): void {
  const [{ model, plan }] = plans as [SweepPlan["runs"][number]];
  const { precision, threads } = plan.engine;
  const parameters = plans.map(({ adapter }) => parameterCounts(model, adapter.spec));
  const rows = runs.map(({ name }, i) => {
    const { trainable, adapter } = parameters[i]!;
    return [name, count(trainable), bytes(4 * adapter)];
  });
  display.log.info(`precision ${precision}; ${threads} threads; ${runs.length} adapters`);
  display.log.print(`Adapters:\n${columns([["run", "trainable params", "size"], ...rows])}`);
  display.log.print(memoryTable(plan.memory));
  const adapters = runs.map(({ name, values }, i) => ({ run: name, options: values, parameters: parameters[i] }));
  display.tell({ type: "plan", precision, threads, memory: plan.memory, adapters });
}
