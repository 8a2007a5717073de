"""Models of one shape for bench-families, one of each family: python family_models.py GOLDENS FOLDER LAYERS VOCABULARY

A golden's config.json with its sizes replaced (hidden 576, MLP 1536, heads of 64), random weights in bf16. Folders that exist are kept.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

goldens, out, layers, vocabulary = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
HIDDEN, MLP, HEADS, POSITIONS, WINDOW = 576, 1536, 9, 2048, 256
SIZES = {
    **dict.fromkeys(["hidden_size", "n_embd", "word_embed_proj_dim"], HIDDEN),
    **dict.fromkeys(["intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner"], MLP),
    **dict.fromkeys(["num_attention_heads", "n_head", "num_heads"], HEADS),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "num_layers", "max_window_layers"], layers),
    **dict.fromkeys(["max_position_embeddings", "n_positions"], POSITIONS),
    **dict.fromkeys(["sliding_window", "window_size"], WINDOW),
    "vocab_size": vocabulary, "head_dim": HIDDEN // HEADS, "rotary_dim": 32,
}


def scaled(config):
    keys = {key: SIZES.get(key, value) if value is not None else None for key, value in config.items()}
    for key in ("num_key_value_heads", "num_kv_heads"):
        if config.get(key) is not None:
            own = config.get("num_attention_heads")
            keys[key] = HEADS if config[key] == own else 1 if config[key] == 1 else HEADS // 3
    if config["model_type"] == "bloom":
        keys["n_inner"] = None  # 4 x hidden: BLOOM has no other
    if config["model_type"] == "phi3":
        keys["rope_parameters"] = dict(rope_type="default", rope_theta=10000.0)
    if "attention_types" in config:
        keys["attention_types"] = [[["global", "local"], layers // 2]]
        keys["attention_layers"] = ["global", "local"] * (layers // 2)
    if config.get("layer_types"):
        kinds = config["layer_types"]
        keys["layer_types"] = [kinds[layer % len(kinds)] for layer in range(layers)]
    if config.get("no_rope_layers"):
        keys["no_rope_layers"] = [layer % 2 for layer in range(layers)]
    return keys


for file in sorted(goldens.glob("*/config.json")):
    config = json.loads(file.read_text())
    to = out / file.parent.name
    if config["model_type"] == "llama" and file.parent.name != "gqa-untied" or (to / "model.safetensors").exists():
        continue
    keys = scaled(config)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**keys), dtype=torch.bfloat16)
    model.save_pretrained(to)
    print(to, file=sys.stderr)
