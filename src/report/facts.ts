// report.json: the facts of a run that metrics.jsonl does not hold.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { LowrankError } from "../base/errors.js";
import { isObject, readJsonObject } from "../base/json.js";
import { LARGEST_LIST_BYTES, readError, writeError } from "../base/system-errors.js";

export const FACTS = "report.json";
const METRICS = "metrics.jsonl";

const count = z.number();

const texts = z.object({
  texts: count,
  tokens: count,
  learned_tokens: count,
  /** Texts of max_seq_length tokens, and how many of them lost their end; null where that cannot be seen. */
  full: count,
  cut: count.nullable(),
  shortest: count,
  median: count,
  longest_of_95_percent: count,
  longest: count,
  /** Numbers of texts by length: the i-th bin reaches from edges[i] up to edges[i + 1]. */
  edges: z.array(count),
  counts: z.array(count),
});

const sample = z.object({ prompt: z.string(), before: z.string().optional(), after: z.string().optional() });

const schema = z.object({
  version: z.literal(1),
  name: z.string(),
  /** ISO 8601. */
  started: z.string(),
  ended: z.string().nullable(),
  state: z.enum(["running", "finished", "stopped", "stopped early", "failed"]),
  versions: z.record(z.string(), z.string()),
  /** Optimizer steps of the whole run. */
  steps: count.nullable(),
  config: z.record(z.string(), z.unknown()),
  parameters: z.object({ trainable: count, all: count }),
  memory: z.object({
    items: z.array(z.object({ name: z.string(), bytes: count, place: z.string() })),
    totalBytes: count,
  }),
  peak_memory_bytes: count.nullable(),
  data: z.object({ training: texts, validation: texts }),
  /** Seconds of each kind of work, of all starts of the run. */
  seconds: z.record(z.string(), z.number()),
  samples: z.array(sample),
});

export type RunFacts = z.infer<typeof schema>;
export type TextFacts = z.infer<typeof texts>;
export type SampleFacts = z.infer<typeof sample>;

/** A line of metrics.jsonl. */
export type Line = Record<string, unknown> & { step: number };

/** A run as a report shows it. */
export interface Run {
  folder: string;
  name: string;
  /** Null for runs of earlier versions. */
  facts: RunFacts | null;
  lines: Line[];
}

/** Under another name first, so that a reader never sees half of it. @throws LowrankError E_WRITE */
export function writeWhole(file: string, content: string | Uint8Array): void {
  try {
    writeFileSync(`${file}.tmp`, content);
    renameSync(`${file}.tmp`, file);
  } catch (error) {
    throw writeError(error, file);
  }
}

/** @throws LowrankError E_WRITE */
export function writeFacts(folder: string, facts: RunFacts): void {
  writeWhole(join(folder, FACTS), `${JSON.stringify(facts, null, 1)}\n`);
}

/** The facts of a folder; null where there are none that this version reads. */
export function readFacts(folder: string): RunFacts | null {
  const file = join(folder, FACTS);
  if (!existsSync(file)) return null;
  return schema.safeParse(readJsonObject(file, "Facts of the run")).data ?? null;
}

/** Whole lines of a text, parsed. A line that a killed run did not finish is left out. */
export function parseLines(text: string): Line[] {
  return text.split("\n").flatMap((line) => {
    try {
      const parsed: unknown = JSON.parse(line);
      return isObject(parsed) && typeof parsed.step === "number" ? [parsed as Line] : [];
    } catch {
      return [];
    }
  });
}

/** The lines of metrics.jsonl, else the history in a checkpoint folder's trainer_state.json. */
function linesOf(folder: string): Line[] {
  const metrics = join(folder, METRICS);
  if (existsSync(metrics)) {
    try {
      return parseLines(readFileSync(metrics, "utf8"));
    } catch (error) {
      throw readError(error, metrics);
    }
  }
  const { log_history } = readJsonObject(join(folder, "trainer_state.json"), "State of the run", LARGEST_LIST_BYTES);
  return Array.isArray(log_history) ? (log_history as Line[]) : [];
}

/** Whether a run has written its metrics into a folder. */
export function holdsRun(folder: string): boolean {
  return [METRICS, "trainer_state.json"].some((name) => existsSync(join(folder, name)));
}

/** @param folder output folder of a run, or a checkpoint @throws LowrankError E_RUN where there is no run; of reading */
export function readRun(folder: string): Run {
  if (!holdsRun(folder)) {
    const message = `${folder} holds neither ${METRICS} nor trainer_state.json: it is no output folder of a training run.`;
    throw new LowrankError("E_RUN", message, folder);
  }
  const facts = readFacts(folder);
  return { folder, name: facts?.name ?? basename(resolve(folder)), facts, lines: linesOf(folder) };
}
