import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Everything of a finished run that must not depend on how it came about. */
export function resultOf(output) {
  // No two runs have alike: times, speeds and memory.
  const isSteady = ([name]) =>
    !/^(tokens_per_s|mfu|slowest_rank|slowest_rank_s|waiting|train_runtime)$|_per_second$|_memory_bytes$/.test(name);
  const withoutSpeed = (row) => JSON.stringify(Object.fromEntries(Object.entries(row).filter(isSteady)));
  const checkpoints = readdirSync(output)
    .filter((name) => name.startsWith("checkpoint-"))
    .sort();
  const sums = checkpoints.map((name) => {
    const { files } = JSON.parse(readFileSync(join(output, name, "manifest.json"), "utf8"));
    return [name, files["adapter_model.safetensors"].sha256, files["optimizer.safetensors"].sha256].join(" ");
  });
  return {
    "final adapter": readFileSync(join(output, "adapter_model.safetensors")).toString("base64"),
    "metrics.jsonl": readFileSync(join(output, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => withoutSpeed(JSON.parse(line)))
      .join("\n"),
    checkpoints: sums.join("\n"),
    "other files": readdirSync(output)
      .filter((name) => !name.startsWith("checkpoint-"))
      .sort()
      .join(),
  };
}
