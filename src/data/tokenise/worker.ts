// Worker thread: tokenises the blocks that it is sent.
import { parentPort, workerData } from "node:worker_threads";
import { columnsOf } from "../cache/contents.js";
import { RowProblem, rendererOf } from "../render/index.js";
import { Tokenizer } from "../tokenizer.js";
import { tokeniseBlock } from "./block.js";
import type { Answer, Job, Start } from "./pool.js";
import { QuickEncoder } from "./quick-encoder.js";

const { tokenizer: file, render, options, plan } = workerData as Start;
const port = parentPort!;
const opening = plan ? new QuickEncoder(plan, file) : Tokenizer.open(file);
const renderer = rendererOf(render);

async function answerTo({ id, columns, firstRow }: Job): Promise<Answer> {
  try {
    return { id, block: await tokeniseBlock(await opening, renderer, columns, firstRow, options) };
  } catch (error) {
    if (error instanceof RowProblem) return { id, problem: { message: error.message, row: error.row } };
    throw error;
  }
}

port.on("message", async (job: Job) => {
  // Any other error ends the thread, and the pool hears of it.
  const answer = await answerTo(job);
  const columns = answer.block ? columnsOf(answer.block) : [];
  port.postMessage(
    answer,
    columns.map(({ buffer }) => buffer as ArrayBuffer),
  );
});
