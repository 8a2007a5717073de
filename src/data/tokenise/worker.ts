// Worker thread: tokenises the blocks that it is sent.
import { parentPort } from "node:worker_threads";
import { type Renderer, RowProblem, rendererOf } from "../render/index.js";
import { columnsOf, type TokeniseOptions, tokeniseBlock } from "./block.js";
import type { Answer, Job, Start } from "./pool.js";
import { QuickEncoder } from "./quick-encoder.js";
import type { TextEncoder } from "./row-tokens.js";

interface Means {
  encoder: TextEncoder;
  renderer: Renderer;
  options: TokeniseOptions;
}

/** The package is loaded where it is needed: it is most of the code. */
async function packageEncoder(file: string): Promise<TextEncoder> {
  const { Tokenizer } = await import("../tokenizer.js");
  return Tokenizer.open(file);
}

async function meansOf({ tokenizer: file, render, options, plan }: Start): Promise<Means> {
  const encoder = plan ? new QuickEncoder(plan) : await packageEncoder(file);
  return { encoder, renderer: rendererOf(render), options };
}

async function answerTo({ id, columns, firstRow }: Job, { encoder, renderer, options }: Means): Promise<Answer> {
  try {
    return { id, block: await tokeniseBlock(encoder, renderer, columns, firstRow, options) };
  } catch (error) {
    if (error instanceof RowProblem) return { id, problem: { message: error.message, row: error.row } };
    throw error;
  }
}

const port = parentPort!;
let means: Promise<Means> | undefined;

// The first message is the start, every other one a job.
port.on("message", async (message: Start | Job) => {
  if ("tokenizer" in message) {
    means = meansOf(message);
    await means;
    return;
  }
  // Any other error ends the thread, and the pool hears of it.
  const answer = await answerTo(message, await means!);
  const columns = answer.block ? columnsOf(answer.block) : [];
  port.postMessage(
    answer,
    columns.map(({ buffer }) => buffer as ArrayBuffer),
  );
});
