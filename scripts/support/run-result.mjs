import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { steadyMetrics } from "./steady-metrics.mjs";

/** Everything of a finished run that must not depend on how it came about. */
export function resultOf(output) {
  const checkpoints = readdirSync(output)
    .filter((name) => name.startsWith("checkpoint-"))
    .sort();
  const sums = checkpoints.map((name) => {
    const { files } = JSON.parse(readFileSync(join(output, name, "manifest.json"), "utf8"));
    return [name, files["adapter_model.safetensors"].sha256, files["optimizer.safetensors"].sha256].join(" ");
  });
  return {
    "final adapter": readFileSync(join(output, "adapter_model.safetensors")).toString("base64"),
    "metrics.jsonl": steadyMetrics(output).join("\n"),
    checkpoints: sums.join("\n"),
    "other files": readdirSync(output)
      .filter((name) => !name.startsWith("checkpoint-"))
      .sort()
      .join(),
  };
}
