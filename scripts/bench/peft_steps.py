"""The peer of engine-steps.mjs: times whole optimizer steps of PEFT on a model folder, and prints one JSON line.

Under torchrun its processes share a step over gloo: each has its own micro-batches, and the first one prints."""

import json, os, resource, statistics, sys, time
from contextlib import nullcontext

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
world = int(os.environ.get("WORLD_SIZE", 1))
parameters = [p for p in model.parameters() if p.requires_grad]
for p in parameters:
    p.data = p.data.float()
model.config.use_cache = False
model.train()
vocab = model.config.vocab_size
if world > 1:
    torch.distributed.init_process_group("gloo")
    model = torch.nn.parallel.DistributedDataParallel(model)
accumulation = o.get("accumulation", 1)
optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0)
ids = torch.randint(0, vocab, (o["batch"], o["seq"]))
times = []
for _ in range(o["warmup"] + o["steps"]):
    begin = time.perf_counter()
    for i in range(accumulation):
        # Gradients travel once a step.
        last = i + 1 == accumulation
        with nullcontext() if last or world == 1 else model.no_sync():
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = model(input_ids=ids, labels=ids).loss / accumulation
            loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    times.append(time.perf_counter() - begin)
seconds = statistics.median(times[o["warmup"] :])
if int(os.environ.get("RANK", 0)) > 0:
    sys.exit()
print(
    json.dumps(
        {
            "tokens_per_s": world * accumulation * o["batch"] * o["seq"] / seconds,
            "first_step_s": times[0],
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "adapter_bytes": 4 * sum(p.numel() for p in parameters),
        }
    )
)
