// Worker thread: tokenises the blocks that it is sent.
import { parentPort, workerData } from "node:worker_threads";
import { Tokenizer } from "../tokenizer.js";
import { tokeniseBlock } from "./block.js";
import { columnsOf } from "./contents.js";
import { QuickEncoder } from "./encode.js";
const { tokenizer: file, options, plan } = workerData;
const port = parentPort;
const opening = plan ? new QuickEncoder(plan, file) : Tokenizer.open(file);
port.on("message", async ({ id, texts, firstRow }) => {
    // An error ends the thread, and the pool hears of it.
    const block = await tokeniseBlock(await opening, texts, firstRow, options);
    const answer = { id, block };
    port.postMessage(answer, columnsOf(block).map(({ buffer }) => buffer));
});
