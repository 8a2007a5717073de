// A set of conversations, trained on beside TRL's SFTTrainer: the same adapter to begin with, the same batches, the loss of each step. Runs
// where LOWRANK_PEER_PYTHON names a Python that has TRL, and the texts are there.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Model, Trainer } from "../../src/index.js";
import { temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { peerPython } from "../support/python.js";

const folder = temporaryFolders();
const STEPS = 50;
const BATCH = 4;
const TEXTS = fileURLToPath(new URL("../../../shared/data/sotu-train.jsonl", import.meta.url));
const { python, reason: lacking } = peerPython("trl peft");
const reason = lacking ?? (existsSync(TEXTS) ? undefined : `${TEXTS} is not there`);
if (reason) console.log(`skipped: training beside TRL (${reason})`);

/** Questions and answers of texts: each sentence of a text is asked for by its first words. */
function conversations(): object[] {
  const texts = readFileSync(TEXTS, "utf8")
    .trim()
    .split("\n")
    .slice(0, STEPS * BATCH);
  return texts.map((line, i) => {
    const sentences = (JSON.parse(line).text as string).split(/(?<=\.) /).slice(0, 1 + (i % 3));
    const turns = sentences.flatMap((sentence) => [
      { role: "user", content: `Go on: ${sentence.split(" ").slice(0, 4).join(" ")} 🙂` },
      { role: "assistant", content: sentence },
    ]);
    return { messages: i % 5 === 0 ? [{ role: "system", content: "Speak as a president." }, ...turns] : turns };
  });
}

test.skipIf(reason !== undefined)(
  "200 conversations give the losses of TRL's SFTTrainer",
  async () => {
    const [base, adapter] = [join(folder(), "base"), join(folder(), "adapter")];
    cpSync(tinyBase, base, { recursive: true });
    const { templates } = JSON.parse(readFileSync(new URL("../fixtures/chat.json", import.meta.url), "utf8"));
    const template = join(base, "chat_template.jinja");
    writeFileSync(template, templates.llama3_training);
    const data = writeIn(
      folder(),
      "a.jsonl",
      conversations()
        .map((row) => JSON.stringify(row))
        .join("\n"),
    );
    const script = fileURLToPath(new URL("../../scripts/goldens/chat_train.py", import.meta.url));
    const peer = spawnSync(python, [script, base, template, data, adapter, String(STEPS)], { encoding: "utf8" });
    expect(peer.status, peer.stderr).toBe(0);
    const expected: number[] = JSON.parse(peer.stdout.trim().split("\n").at(-1)!);
    await using model = await Model.open(base, { precision: "fp32", threads: 2 });
    const trainer = await Trainer.create(model, {
      train_file: data,
      validation_file: writeIn(folder(), "b.jsonl", JSON.stringify(conversations()[0])),
      init_adapter: adapter,
      lora_dropout: 0,
      max_seq_length: 256,
      per_device_train_batch_size: BATCH,
      max_steps: STEPS,
      learning_rate: 1e-3,
      lr_scheduler: "constant",
      warmup_steps: 0,
      shuffle: false,
      eval_strategy: "no",
      logging_steps: 1,
      cache_dir: folder(),
    });
    const losses: number[] = [];
    for await (const event of trainer.run()) if (event.type === "step") losses.push(event.metrics!.loss);
    const apart = Math.max(...losses.map((loss, i) => Math.abs(loss - expected[i]!)));
    console.log(
      `loss ${expected[0]!.toFixed(4)} to ${expected.at(-1)!.toFixed(4)} in ${STEPS} steps, at most ${apart.toExponential(1)} apart`,
    );
    expect([losses.length, expected.length]).toEqual([STEPS, STEPS]);
    expect(apart).toBeLessThan(1e-4);
    expect(expected.at(-1)).toBeLessThan(expected[0]!);
  },
  300_000,
);
