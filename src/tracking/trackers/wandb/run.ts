// A run of W&B, and the two ways its items can go.

/** What W&B knows of a run from its beginning. */
export interface WandbRun {
  id: string;
  project: string;
  entity: string | undefined;
  name: string | undefined;
  tags: string[];
  notes: string | undefined;
  group: string | undefined;
  jobType: string | undefined;
  config: Record<string, unknown>;
  /** Milliseconds since 1970. */
  startedAt: number;
}

/** Values by their names, as JSON texts: NaN and infinities are values of W&B. */
export type JsonValues = Record<string, string>;

/** One thing that happened in a run. */
export type Item =
  | { history: JsonValues; step: number }
  | { summary: JsonValues }
  | { stats: JsonValues; timestamp: number; runtime: number }
  | { output: string; timestamp: number }
  /** A file of the run, by its path there. */
  | { file: string; text: string }
  | { exit: number; runtime: number };

/** Where a run's items go. */
export interface Sink<Front> {
  /** The front of the last item, where the run goes on. */
  readonly front: Front | null;
  put(item: Item, front: Front): void;
  /** @returns news of the run for people, or what is left to be sent */
  end(): Promise<void>;
}

/** JSON as W&B reads it, with bare NaN and infinities. */
export function wandbJson(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? JSON.stringify(value) : String(value);
  if (Array.isArray(value)) return `[${value.map(wandbJson).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  return objectJson(textsOf(value));
}

/** An object of JSON texts. */
export const objectJson = (texts: JsonValues) =>
  `{${Object.entries(texts)
    .map(([key, text]) => `${JSON.stringify(key)}:${text}`)
    .join()}}`;

/** The fields of an object that have a value. */
export function textsOf(values: object): JsonValues {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined.map(([key, value]) => [key, wandbJson(value)]));
}
