import { basename, resolve } from "node:path";
import type { AdapterSpec } from "../engine.js";

/** README.md beside an adapter: what the hub shows, and how to use the folder. */
export function modelCard(spec: AdapterSpec, targets: string | string[], baseModel: string): string {
  const scale = spec.useRslora ? "alpha / sqrt(r)" : "alpha / r";
  return `---
base_model: ${JSON.stringify(baseModel)}
library_name: peft
pipeline_tag: text-generation
tags:
- lora
- lowrank
---

# LoRA adapter for ${basename(resolve(baseModel))}

Trained with lowrank, stored as PEFT stores it.

| | |
|---|---|
| base model | \`${baseModel}\` |
| r | ${spec.rank} |
| alpha | ${spec.alpha} (scale ${scale}) |
| dropout | ${spec.dropout} |
| target modules | ${typeof targets === "string" ? `\`${targets.replaceAll("|", "\\|")}\`` : targets.join(", ")} |

    from peft import AutoPeftModelForCausalLM
    model = AutoPeftModelForCausalLM.from_pretrained("this folder")

or \`lowrank generate --base_model BASE --adapter FOLDER --prompt TEXT\`.
`;
}
