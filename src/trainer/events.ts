import type { Evaluation } from "./evaluate.js";

/** Of several ranks, in the steps since the last line. */
export interface RankMetrics {
  /** The rank whose forward and backward passes took longest, and their seconds a step. */
  slowest_rank: number;
  slowest_rank_s: number;
  /** Share of the steps' time in which a rank waits for others and for messages, the mean of the ranks. */
  waiting: number;
}

/** A line of training metrics; the fields of metrics.jsonl. */
export interface StepMetrics extends Partial<RankMetrics> {
  step: number;
  /** Times through the training texts so far. */
  epoch: number;
  /** Mean of the steps' losses since the last line. */
  loss: number;
  /** Norm of this step, before clipping. NaN or infinite where fp16 overflowed. */
  grad_norm: number;
  /** The rate that this step used. */
  learning_rate: number;
  /** Since the last line, without evaluating and saving. */
  tokens_per_s: number;
  /** Model FLOP utilisation in that time: the share of a product's best speed here, with the same threads and precision. */
  mfu: number;
  /** For fp16: the loss scale after this step, and steps of the run so far that an overflow made void. */
  loss_scale?: number;
  skipped_steps?: number;
}

export interface EvalMetrics extends Evaluation {
  step: number;
  epoch: number;
}

/** A run in numbers; the last line of metrics.jsonl, under the Trainer's names where it has one. */
export interface Summary {
  step: number;
  epoch: number;
  /** Seconds, with evaluating and saving, of all starts of the run. */
  train_runtime: number;
  train_samples_per_second: number;
  train_steps_per_second: number;
  /** Mean of all steps' losses. */
  train_loss: number;
  total_flos: number;
  train_tokens: number;
  train_tokens_per_second: number;
  /** The step of the best evaluation, if there was one. */
  best_step?: number;
  best_eval_loss?: number;
}

export interface Sample {
  prompt: string;
  /** The continuation of the base alone, where it is asked for. */
  base_text?: string;
  text: string;
}

export type TrainerEvent =
  /** Before the first step. */
  | { type: "start"; steps: number; steps_per_epoch: number; warmup_steps: number }
  /** After every step; its loss where it was read, and `metrics` where they are due. */
  | { type: "step"; step: number; loss: number | null; tokens_per_s: number; metrics: StepMetrics | null }
  /** Overflows of fp16 made steps void: this one, or some since the last reading. The next ones use this scale. */
  | { type: "skipped"; step: number; loss_scale: number; skipped_steps: number }
  /** While evaluating. */
  | { type: "evaluating"; done: number; total: number }
  | { type: "eval"; metrics: EvalMetrics }
  | { type: "checkpoint"; step: number; folder: string; removed: string[] }
  | { type: "best"; step: number; eval_loss: number; folder: string | null }
  /** While samples are written: tokens, and the most that there may be. */
  | { type: "sampling"; done: number; total: number }
  | { type: "sample"; sample: Sample }
  /** News of a tracker, such as the address of the run's page. */
  | { type: "tracker"; message: string }
  | { type: "warning"; message: string };

/** Receives the events, in order. The run goes on when its promise resolves. An exception from it ends the run. */
export type Reporter = (event: TrainerEvent) => void | Promise<void>;
