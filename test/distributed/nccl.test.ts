// Ranks on the emulated GPU, whose sums a stand-in for NCCL makes, beside sums over MPI and one process.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { EMULATED } from "../support/emulated.js";
import { expectCloseMetrics, noRanks, ranks } from "../support/mpi.js";
import { type Finished, lowrank, someTexts, steadyMetrics, tinyBase, workFolder } from "../support/tiny.js";

const build = dirname(EMULATED);
const FAULTY = join(build, "liblowrank_cuda_faulty.so");
const missing = noRanks() ?? (existsSync(EMULATED) ? null : `${EMULATED} is not there (npm run test:native builds it)`);
if (missing) console.log(`Ranks on GPUs are not tested: ${missing}.`);

const work = workFolder("nccl");
afterAll(work.remove);

function train(output: string, more: Record<string, unknown>): string[] {
  const all = {
    ...{ base_model: tinyBase, train_file: someTexts(work.path("texts.jsonl"), 20), output_dir: work.path(output) },
    ...{
      device: "cuda",
      precision: "fp32",
      max_seq_length: 8,
      lora_r: 4,
      lora_dropout: 0.1,
      target_modules: "q_proj,v_proj",
      layers_to_transform: 3,
    },
    ...{ per_device_train_batch_size: 1, learning_rate: 1e-2, max_steps: 4, logging_steps: 1, eval_strategy: "no" },
    ...{ save_steps: 100, num_samples: 0, merge: false, threads: 1, ...more },
  };
  return ["train", ...Object.entries(all).map(([name, value]) => `--${name}=${value}`)];
}

async function succeeds(run: Promise<Finished>): Promise<string> {
  const { code, stderr } = await run;
  expect(code, stderr).toBe(0);
  return stderr;
}

const NCCL = { LOWRANK_CUDA_PLUGIN: EMULATED, LOWRANK_NCCL_PATH: build };
/** A machine without NCCL. */
const NONE = { LOWRANK_CUDA_PLUGIN: EMULATED, HOME: work.path("home"), LOWRANK_NCCL_PATH: work.path("nowhere") };
const adapter = (output: string) => readFileSync(work.path(output, "adapter_model.safetensors"));

/** One process, made once. */
let one: Promise<string> | undefined;

describe.skipIf(missing !== null)("ranks on GPUs", () => {
  test.each([
    [2, 3],
    [3, 2],
  ])("%d ranks make the steps of one process, with the bits of sums over MPI", async (size, each) => {
    const [two, host] = [`nccl-${size}`, `host-${size}`];
    one ??= succeeds(lowrank(train("one", { gradient_accumulation_steps: 6 }), { env: NCCL }));
    await one;
    const shown = await succeeds(ranks(size, train(two, { gradient_accumulation_steps: each }), { env: NCCL }));
    expect(shown).toContain("gradients are summed by NCCL 2.27.3");
    const staged = await succeeds(ranks(size, train(host, { gradient_accumulation_steps: each }), { env: NONE }));
    expect(staged).toContain(
      "gradients are summed over MPI, from host to host: rank 0: NCCL was not found. Install it with: python3 -m pip install nvidia-nccl-cu12, or name its folder in LOWRANK_NCCL_PATH. Tried:",
    );
    expect(staged).toContain(work.path("nowhere/libnccl.so.2"));
    expectCloseMetrics(work.path(two), work.path("one"));
    expect(adapter(two).equals(adapter(host))).toBe(true);
    expect(steadyMetrics(work.path(two))).toEqual(steadyMetrics(work.path(host)));
  });

  test("a GPU that two ranks share: over MPI", async () => {
    const env = { ...NCCL, LOWRANK_CUDA_PLUGIN: FAULTY, LOWRANK_CUBLASLT_PATH: build };
    const { stderr } = await ranks(2, train("shared", { gradient_accumulation_steps: 1, max_steps: 1 }), { env });
    expect(stderr).toMatch(
      /gradients are summed over MPI, from host to host: rank 1 and rank 0 share a GPU \(.*, PCI 0000:00:00\.0\), and NCCL wants one for each/,
    );
  });

  test.each(["ncclCommInitRank", "ncclGroupEnd"])("%s fails: one message, and all end", async (what) => {
    const env = { ...NCCL, LOWRANK_FAKE_NCCL: what };
    const { code, stderr } = await ranks(2, train(what, { gradient_accumulation_steps: 1 }), { env });
    expect(code).not.toBe(0);
    expect(stderr.match(/error E_[A-Z]+/g), stderr).toEqual(["error E_GROUP"]);
    expect(stderr).toContain(
      `NCCL: ${what} failed on rank 0 of 2: unhandled system error. NCCL_DEBUG=INFO tells more.`,
    );
  });

  test("sums that do not end are an error after --ddp_timeout, and those that fail at once", async () => {
    const env = { ...NCCL, LOWRANK_CUDA_PLUGIN: FAULTY, LOWRANK_CUBLASLT_PATH: build };
    const args = train("late", { gradient_accumulation_steps: 1, ddp_timeout: 8 });
    const late = await ranks(2, args, { env: { ...env, LOWRANK_FAKE_CUDA: "gpus=2,fails=query" } });
    expect(late.stderr).toMatch(/error E_TIMEOUT: Rank \d has waited for sums over NCCL for longer than --ddp_timeout/);
    const failing = { ...env, LOWRANK_FAKE_CUDA: "gpus=2,fails=query", LOWRANK_FAKE_NCCL: "asynchronous" };
    const failed = await ranks(2, train("failing", { gradient_accumulation_steps: 1 }), { env: failing });
    expect(failed.stderr).toMatch(
      /error E_GROUP: NCCL: a sum of gradients failed on rank \d of 2: unhandled system error/,
    );
  });
});
