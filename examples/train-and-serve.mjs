// Answers over HTTP while it trains, and ends with the training.
//
//   node examples/train-and-serve.mjs [MODEL] [PORT]
//   curl "http://127.0.0.1:8080/?prompt=Soup"       with the adapter of the last evaluation; the training goes on meanwhile
//   curl "http://127.0.0.1:8080/now?prompt=Soup"    with the adapter as it is; the training stands still meanwhile
import { once } from "node:events";
import { createServer } from "node:http";
import { Model, Trainer } from "lowrank";

const [folder = "examples/tiny-base", port = "8080"] = process.argv.slice(2);
const model = await Model.open(folder, { threads: 2 });
const trainer = await Trainer.create(model, {
  train_file: "examples/data/train.jsonl",
  validation_file: "examples/data/validation.jsonl",
  lora_r: 8,
  learning_rate: 5e-3,
  max_seq_length: 64,
  max_steps: 40,
  eval_steps: 10,
});

/** @type {import("lowrank").Adapter | undefined} */
let adapter;

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://127.0.0.1");
  const prompt = searchParams.get("prompt") ?? "";
  // A client that leaves needs no more text; the next one gets its turn.
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const options = { max_new_tokens: 24, temperature: 0, signal: gone.signal };
  try {
    const pieces =
      pathname === "/now"
        ? trainer.generate(prompt, { ...options, wait: true })
        : model.generate(prompt, { ...options, adapter });
    for await (const piece of pieces) response.write(piece);
  } catch (error) {
    if (!response.headersSent) response.statusCode = 400;
    response.write(`${error instanceof Error ? error.message : error}`);
  }
  response.end("\n");
});

server.listen(Number(port), "127.0.0.1");
await once(server, "listening");
const address = server.address();
console.log(`listening on http://127.0.0.1:${typeof address === "object" ? address?.port : port}`);

try {
  for await (const event of trainer.run()) {
    if (event.type === "warning") console.warn(event.message);
    if (event.type !== "eval") continue;
    // A copy: it does not change while the training goes on.
    adapter = await trainer.adapter();
    console.log(`step ${event.metrics.step}: validation loss ${event.metrics.eval_loss.toFixed(3)}`);
  }
} finally {
  server.close();
  await once(server, "close");
  await model.close();
}
