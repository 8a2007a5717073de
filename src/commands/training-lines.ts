import { bytes, count } from "../base/text.js";
import type { Log, Progress } from "../tracking/index.js";
import type { EvalMetrics, Reporter, RunResult, StepMetrics } from "../trainer/index.js";

function stepLine(m: StepMetrics, steps: number): string {
  return [
    `step ${m.step}/${steps}`,
    `epoch ${m.epoch.toFixed(2)}`,
    `loss ${m.loss.toFixed(4)}`,
    `grad_norm ${m.grad_norm.toPrecision(3)}`,
    `learning_rate ${m.learning_rate.toExponential(2)}`,
    `${count(Math.round(m.tokens_per_s))} tokens/s`,
    `mfu ${(100 * m.mfu).toFixed(0)} %`,
    ...(m.loss_scale === undefined ? [] : [`loss_scale ${m.loss_scale}`, `skipped ${m.skipped_steps}`]),
    ...(m.waiting === undefined ? [] : [`waiting ${(100 * m.waiting).toFixed(1)} %`]),
  ].join("  ");
}

/** The metrics of an evaluation: perplexity, or the accuracy and the like of a classifier. */
function evaluationLine(found: EvalMetrics, steps: number): string {
  const { step, eval_loss, eval_perplexity, eval_accuracy, eval_f1, eval_mse } = found;
  const parts = [`step ${step}/${steps}`, `eval_loss ${eval_loss.toFixed(4)}`];
  if (eval_perplexity !== undefined) parts.push(`perplexity ${eval_perplexity.toFixed(2)}`);
  if (eval_accuracy !== undefined) parts.push(`accuracy ${eval_accuracy.toFixed(4)}`, `f1 ${eval_f1!.toFixed(4)}`);
  if (eval_mse !== undefined) parts.push(`mse ${eval_mse.toFixed(4)}`);
  return parts.join("  ");
}

/** Seconds for people. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The last line of a run. */
export function summaryLine(s: RunResult["summary"]): string {
  const best =
    s.best_step === undefined ? [] : [`best step ${s.best_step} (eval_loss ${s.best_eval_loss!.toFixed(4)})`];
  return [
    `${s.step} steps in ${duration(s.train_runtime)}`,
    `${count(s.train_tokens)} tokens`,
    `${count(Math.round(s.train_tokens_per_second))} tokens/s`,
    `loss ${s.train_loss.toFixed(4)}`,
    ...best,
    `peak memory ${bytes(s.peak_memory_bytes)} (planned ${bytes(s.planned_memory_bytes)})`,
  ].join("  ");
}

/** The place where events are shown. */
interface Shown {
  log: Pick<Log, "info" | "verbose" | "warn" | "print">;
  progress: Pick<Progress, "start" | "update">;
}

/** Shows the trainer's events. */
export function reporter({ log, progress }: Shown): Reporter {
  let steps = 0;
  let step = 0;
  let loss = "";
  let sampled = 0;
  let sampling = 0;
  return (event) => {
    switch (event.type) {
      case "start":
        steps = event.steps;
        log.info(`${steps} steps, ${event.steps_per_epoch} an epoch, ${event.warmup_steps} of warmup`);
        progress.start("training", steps);
        break;
      case "step":
        step = event.step;
        if (event.loss !== null) loss = `loss ${event.loss.toFixed(4)}, `;
        progress.update(step, `${loss}${count(Math.round(event.tokens_per_s))} tokens/s`);
        if (event.metrics) log.verbose(stepLine(event.metrics, steps));
        break;
      case "skipped":
        log.info(
          `step ${event.step}: the gradients overflowed fp16; the step is skipped, the loss scale is now ${event.loss_scale}`,
        );
        break;
      case "evaluating":
        progress.update(step, `${loss}evaluating ${event.done}/${event.total}`);
        break;
      case "eval": {
        log.info(evaluationLine(event.metrics, steps));
        break;
      }
      case "checkpoint":
        log.info(`saved ${event.folder}`);
        for (const folder of event.removed) log.verbose(`removed ${folder}`);
        break;
      case "best":
        log.info(`kept the adapter of step ${event.step} (eval_loss ${event.eval_loss.toFixed(4)})`);
        break;
      case "sampling":
        if (event.done < sampling || sampling === 0) progress.start("writing samples, tokens", event.total);
        sampling = event.done;
        progress.update(event.done);
        break;
      case "sample": {
        const { prompt, base_text, text } = event.sample;
        const before = base_text === undefined ? "" : `\n  continuation of the base: ${base_text}`;
        log.print(`\nSample ${++sampled}\n  prompt: ${prompt}${before}\n  continuation: ${text}`);
        break;
      }
      case "tracker":
        log.info(event.message);
        break;
      case "warning":
        log.warn(event.message);
        break;
    }
  };
}
