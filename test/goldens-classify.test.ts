// Classifiers against torch + transformers + peft: the outputs of scripts/goldens/classify.py.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readAdapter, readLabels, writeAdapter } from "../src/checkpoint/index.js";
import { parameterCounts } from "../src/setup/memory/plan.js";
import {
  classifierGoldens,
  classifierNames,
  labelledBatch,
  openClassifierGolden,
  readClassifierReference,
  terms,
  trainClassifier,
} from "./support/classifier.js";
import { largestDifference, readTensors } from "./support/golden.js";

/** As in test/support/golden-tests.ts. */
const LIMITS = { logits: 2e-5, loss: 1e-5, gradient: 5e-5, gradNorm: 1e-4, adapter: 5e-5 };

const scratch = mkdtempSync(join(tmpdir(), "lowrank-classify-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(classifierNames())("classifier %s", (name) => {
  const folder = join(classifierGoldens, name);
  const reference = readClassifierReference(name);
  const tensors = readTensors(join(folder, "reference.safetensors"));

  test("logits, loss and every gradient, in pieces", async () => {
    const { engine, model, adapter } = await openClassifierGolden(name, "initial");
    expect(model.config.classifier!.problem).toBe(reference.problem);
    const { trainable, all } = parameterCounts(model, adapter.spec);
    expect({ trainable, all }).toEqual({ trainable: reference.trainable, all: reference.all });
    const batch = labelledBatch(reference.batch);
    const n = terms(reference.batch);
    const found = await engine.classify(batch);
    const { difference, scale } = largestDifference(found.logits, tensors.get("logits")!.data);
    expect(difference / scale).toBeLessThan(LIMITS.logits);
    expect(Math.abs(found.loss / n / reference.loss - 1)).toBeLessThan(LIMITS.loss);
    await engine.forwardBackward(batch, 1 / n, 0);
    expect(Math.abs((await engine.readings()).windowLoss / n / reference.loss - 1)).toBeLessThan(LIMITS.loss);
    const gradients = await engine.gradients();
    expect([...gradients.keys()].sort()).toEqual([...tensors.keys()].filter((key) => key !== "logits").sort());
    for (const [key, { data, shape }] of gradients) {
      const expected = tensors.get(key)!;
      expect(shape).toEqual(expected.shape);
      const { difference: off, scale: size } = largestDifference(data, expected.data);
      expect(off / size, key).toBeLessThan(LIMITS.gradient);
    }
    await engine.close();
  });

  test("ten steps, the trained adapter, and its files", async () => {
    const { engine, model, adapter } = await openClassifierGolden(name, "initial", { threads: 1 });
    const { trace } = reference.training;
    for (const [i, { loss, gradNorm }] of (await trainClassifier(engine, reference)).entries()) {
      expect(Math.abs(loss / trace[i]!.loss - 1)).toBeLessThan(1e-4);
      expect(Math.abs(gradNorm / trace[i]!.grad_norm - 1)).toBeLessThan(1e-3);
    }
    const final = await engine.adapter();
    for (const [key, { data }] of readAdapter(join(folder, "final"), model).tensors) {
      const { difference, scale } = largestDifference(final.get(key)!.data, data);
      expect(difference / scale, key).toBeLessThan(2e-3);
    }
    const { logits } = await engine.classify(labelledBatch(reference.batch));
    const { difference, scale } = largestDifference(logits, Float32Array.from(reference.final_logits.flat()));
    expect(difference / scale).toBeLessThan(1e-3);
    await engine.close();
    const saved = join(scratch, name);
    await writeAdapter(saved, {
      tensors: final,
      spec: adapter.spec,
      targets: adapter.targets,
      baseModel: folder,
      classifier: model.config.classifier,
    });
    expect(readLabels(saved)).toEqual({ labels: model.config.classifier!.labels, problem: reference.problem });
    expect(readAdapter(saved, model).tensors).toEqual(final);
    const config = JSON.parse(readFileSync(join(saved, "adapter_config.json"), "utf8"));
    const theirs = JSON.parse(readFileSync(join(folder, "final", "adapter_config.json"), "utf8"));
    expect([config.task_type, config.modules_to_save]).toEqual([theirs.task_type, theirs.modules_to_save]);
  });
});
