import type { TrainOptions } from "../config/index.js";
import { readTexts, splitValidation, TextDataset, type TextRows, Tokenizer } from "../data/index.js";
import { everyRow } from "./inputs.js";

/** Held back where no validation file is named. */
const VALIDATION_SHARE = 0.1;

/** Some rows of the texts. */
export interface Part {
  rows: TextRows;
  indices: Int32Array;
}

/** What a training run reads besides the model. */
export interface TrainingTexts {
  tokenizer: Tokenizer;
  training: Part;
  validation: Part;
}

export async function readTrainingTexts(o: TrainOptions): Promise<TrainingTexts> {
  const [tokenizer, rows, held] = await Promise.all([
    Tokenizer.open(o.tokenizer_name ?? o.base_model),
    readTexts(o.train_file, o.text_column),
    o.validation_file === undefined ? null : readTexts(o.validation_file, o.text_column),
  ]);
  if (held) {
    const training = { rows, indices: everyRow(rows) };
    return { tokenizer, training, validation: { rows: held, indices: everyRow(held) } };
  }
  const { train, validation } = splitValidation(rows.length, VALIDATION_SHARE, o.seed);
  return { tokenizer, training: { rows, indices: train }, validation: { rows, indices: validation } };
}

/** The tokens of some rows, as the options want them. */
export function tokenised({ rows, indices }: Part, tokenizer: Tokenizer, o: TrainOptions): TextDataset {
  const padding = o.pad_to_max_length ? { padTo: o.max_seq_length } : {};
  return new TextDataset(rows, indices, tokenizer, { maxLength: o.max_seq_length, ...padding });
}
