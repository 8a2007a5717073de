"""PEFT's combinations beside ours: prints the largest difference of a module's update, relative to its norm, of each kind."""

import json
import sys
import warnings

from peft import PeftModel
from transformers import AutoModelForCausalLM

warnings.filterwarnings("ignore")
given = json.load(sys.stdin)
base = AutoModelForCausalLM.from_pretrained(given["base"], dtype="float32")
names = [f"source{i}" for i in range(len(given["sources"]))]
model = PeftModel.from_pretrained(base, given["sources"][0], adapter_name=names[0])
for name, source in zip(names[1:], given["sources"][1:]):
    model.load_adapter(source, adapter_name=name)
found = {}
for kind, majority in given["kinds"]:
    label = f"{kind}-{majority}"
    more = {} if kind in ("cat", "svd", "linear") else {"density": given["density"]}
    if kind == "ties":
        more["majority_sign_method"] = majority
    model.add_weighted_adapter(names, given["weights"], f"peft_{label}", combination_type=kind, **more)
    model.load_adapter(f"{given['work']}/{label}", adapter_name=f"ours_{label}")
    layers = [m for m in model.modules() if hasattr(m, "lora_A") and f"peft_{label}" in m.lora_A]
    error = 0.0
    for layer in layers:
        theirs, ours = layer.get_delta_weight(f"peft_{label}"), layer.get_delta_weight(f"ours_{label}")
        error = max(error, float((theirs - ours).norm() / theirs.norm().clamp(min=1e-12)))
    found[label] = error if layers else float("nan")
print(json.dumps(found))
