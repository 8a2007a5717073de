"""The peer of engine-steps.mjs: times whole optimizer steps of PEFT on a model folder, and prints one JSON line."""

import json, resource, statistics, sys, time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

o = json.loads(sys.argv[1])
torch.manual_seed(0)
if o["threads"]:
    torch.set_num_threads(o["threads"])
bf16 = o["precision"] == "bf16"
model = AutoModelForCausalLM.from_pretrained(o["folder"], dtype=torch.bfloat16 if bf16 else torch.float32)
targets = "all-linear" if o["targets"] == "all-linear" else o["targets"].split(",")
config = LoraConfig(
    r=o["rank"],
    lora_alpha=32,
    lora_dropout=0.0,
    target_modules=targets,
    use_rslora=o["variant"] == "rslora",
    use_dora=o["variant"] == "dora",
    lora_bias=o["variant"] == "bias",
    task_type="CAUSAL_LM",
)
model = get_peft_model(model, config)
parameters = [p for p in model.parameters() if p.requires_grad]
for p in parameters:
    p.data = p.data.float()
model.config.use_cache = False
model.train()
optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0)
ids = torch.randint(0, model.config.vocab_size, (o["batch"], o["seq"]))
times = []
for _ in range(o["warmup"] + o["steps"]):
    begin = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    times.append(time.perf_counter() - begin)
seconds = statistics.median(times[o["warmup"] :])
print(
    json.dumps(
        {
            "tokens_per_s": o["batch"] * o["seq"] / seconds,
            "first_step_s": times[0],
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "adapter_bytes": 4 * sum(p.numel() for p in parameters),
        }
    )
)
