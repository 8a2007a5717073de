#!/usr/bin/env python3
"""Makes test/goldens-classify: tiny classifiers (ForSequenceClassification) beside torch, transformers and peft, in fp32.

  python scripts/goldens/classify.py [--only NAME] [--output_dir test/goldens-classify]

For each case a folder with the model as transformers saves it, `initial/` and `final/` adapters as peft saves them,
`reference.safetensors` (logits of the batch and the gradients of its mean loss) and `reference.json` (texts as tokens, labels,
loss, and ten steps with the Trainer's groups of AdamW: biases do not decay).
"""
import argparse
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSequenceClassification

from make import collapse_numbers, save_adapter, engine_name, adapter_parameters

STEPS = 10
TRAINING = dict(learning_rate=5e-3, weight_decay=0.1, max_grad_norm=1.0)
DECODER = dict(vocab_size=90, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, max_position_embeddings=40, pad_token_id=1, tie_word_embeddings=False)
ENCODER = dict(vocab_size=90, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40,
               hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
DISTIL = dict(vocab_size=90, dim=24, hidden_dim=40, n_layers=2, n_heads=4, max_position_embeddings=40, dropout=0.0, attention_dropout=0.0,
              seq_classif_dropout=0.0)
DENSE = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]


@dataclass
class Case:
    name: str
    about: str
    model_type: str
    model: dict = field(default_factory=dict)
    targets: list | str = field(default_factory=lambda: ["q_proj", "v_proj"])
    problem: str = "single_label_classification"
    labels: int = 3
    types: bool = False  # texts are pairs
    lora: dict = field(default_factory=dict)  # LoraConfig's other keys


CASES = [
    Case("llama-single", "the last token's state through score, three classes", "llama", DECODER),
    Case("llama-regression", "one label, squared errors", "llama", DECODER, problem="regression", labels=1),
    Case("llama-multi", "several labels a text", "llama", DECODER, problem="multi_label_classification", labels=4),
    Case("qwen2-single", "biases on q, k and v", "qwen2", DECODER, labels=2),
    Case("bert-pairs", "token types, pooler, the first token's state", "bert", ENCODER, targets=["query", "value"], types=True),
    Case("bert-all-multi", "every linear of the blocks, another eps and activation", "bert",
         dict(**ENCODER, layer_norm_eps=1e-5, hidden_act="gelu_new"), targets=DENSE, problem="multi_label_classification", labels=4, types=True),
    Case("distilbert-q", "pre_classifier and classifier are trained", "distilbert", DISTIL, targets=["q_lin"], labels=2),
    Case("distilbert-all-regression", "every linear of the blocks, ReLU", "distilbert", dict(**DISTIL, activation="relu"),
         targets=["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"], problem="regression", labels=1),
    Case("roberta-single", "positions after the padding's, a head of two layers", "roberta",
         dict(**{**ENCODER, "max_position_embeddings": 42}, type_vocab_size=1, pad_token_id=1),
         targets=["query", "value"]),
    Case("gpt2-single", "transposed weights under a score head", "gpt2",
         dict(vocab_size=90, n_embd=24, n_layer=2, n_head=4, n_positions=40, pad_token_id=1, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0),
         targets=["c_attn"]),
    Case("bloom-single", "biases of keys (ALiBi)", "bloom", dict(vocab_size=90, hidden_size=24, n_layer=2, n_head=4, pad_token_id=1),
         targets=["query_key_value"]),
    Case("gpt-neo-single", "a window, scores that are not scaled", "gpt_neo",
         dict(vocab_size=90, hidden_size=24, intermediate_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], window_size=5,
              max_position_embeddings=40, pad_token_id=1)),
    Case("gpt-neox-multi", "attention and MLP side by side", "gpt_neox",
         dict(vocab_size=90, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=40, pad_token_id=1),
         targets=["query_key_value"], problem="multi_label_classification", labels=4),
    Case("gptj-single", "no bias of a language model's head", "gptj",
         dict(vocab_size=90, n_positions=40, n_embd=24, n_inner=32, n_layer=2, n_head=3, rotary_dim=6, pad_token_id=1)),
    Case("phi-single", "attention and MLP of one norm", "phi",
         dict(vocab_size=90, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=40, pad_token_id=1)),
    Case("stablelm-regression", "LayerNorm with SwiGLU", "stablelm",
         dict(vocab_size=90, hidden_size=48, intermediate_size=32, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
              max_position_embeddings=40, pad_token_id=1), problem="regression", labels=1),
    Case("opt-350m-single", "norms after each part, a frozen projection before the score", "opt",
         dict(vocab_size=70, max_position_embeddings=64, hidden_size=24, word_embed_proj_dim=15, do_layer_norm_before=False, ffn_dim=42, num_hidden_layers=2,
              num_attention_heads=3, bos_token_id=0, eos_token_id=2, pad_token_id=1, dropout=0.0), targets=["q_proj", "v_proj"]),
    Case("bert-all-linear", "every linear, the pooler's, too", "bert", ENCODER, targets="all-linear", types=True),
    Case("bert-pooler-dora", "magnitudes of the pooler alone", "bert", ENCODER, targets=["pooler.dense"], lora=dict(use_dora=True)),
    Case("roberta-all-linear", "every linear but the head's, which trains whole", "roberta",
         dict(**{**ENCODER, "max_position_embeddings": 42}, type_vocab_size=1, pad_token_id=1), targets="all-linear"),
    Case("opt-350m-projections", "adapters with biases of B of both projections", "opt",
         dict(vocab_size=70, max_position_embeddings=64, hidden_size=24, word_embed_proj_dim=15, do_layer_norm_before=False, ffn_dim=42, num_hidden_layers=2,
              num_attention_heads=3, bos_token_id=0, eos_token_id=2, pad_token_id=1, dropout=0.0), targets=["project_in", "v_proj", "project_out"],
         lora=dict(lora_bias=True)),
]


def make_base(case, folder):
    config = AutoConfig.for_model(case.model_type, num_labels=case.labels, problem_type=case.problem, **case.model)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for name, w in model.named_parameters():
            if w.dim() == 2:
                w.normal_(0, 1.0 if "embed" in name else 1.5 / w.shape[1] ** 0.5)
            elif name.endswith("bias"):
                w.normal_(0, 0.3)
            else:
                w.uniform_(0.5, 1.5)
    model.save_pretrained(folder)


def random_batch(case, vocab, lengths):
    """Texts; of pairs the tokens from `second` on have type 1."""
    texts = [torch.randint(2, vocab, (n,)).tolist() for n in lengths]
    n = len(lengths)
    if case.problem == "single_label_classification":
        labels = torch.randint(0, case.labels, (n,)).tolist()
    elif case.problem == "regression":
        labels = [round(x, 3) for x in torch.randn(n).tolist()]
    else:
        labels = torch.randint(0, 2, (n, case.labels)).tolist()
    second = [max(1, len(t) // 2) if case.types else len(t) for t in texts]
    return dict(texts=texts, second=second, labels=labels)


def forward(model, case, batch):
    longest, pad = max(map(len, batch["texts"])), model.config.pad_token_id
    ids = torch.tensor([t + [pad] * (longest - len(t)) for t in batch["texts"]])
    mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in batch["texts"]])
    labels = torch.tensor(batch["labels"])
    labels = labels if case.problem == "single_label_classification" else labels.float()
    extra = {}
    if case.types:
        extra["token_type_ids"] = torch.tensor([[0] * s + [1] * (longest - s) for s in batch["second"]])
    return model(input_ids=ids, attention_mask=mask, labels=labels, **extra)


def train(model, case, batches, begin=lambda number, batch: None):
    named = adapter_parameters(model)
    groups = [dict(params=[w for n, w in named.items() if n.endswith(".bias") == bias], weight_decay=0 if bias else TRAINING["weight_decay"])
              for bias in (False, True)]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=TRAINING["learning_rate"])
    trace = []
    for i, batch in enumerate(batches):
        begin(i, batch)
        loss = forward(model, case, batch).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(named.values()), TRAINING["max_grad_norm"]).item()
        trace.append(dict(loss=loss.item(), grad_norm=norm))
        optimizer.step(), optimizer.zero_grad(set_to_none=True)
    return trace


def bf16_error(case, folder, batch, logits):
    """The largest difference of the logits of a base in bf16, as a share of the largest logit: what 16 bits cost PyTorch itself on these weights."""
    base = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(base, folder / "initial").eval()
    with torch.no_grad():
        found = forward(model, case, batch).logits.float()
    return round(((found - logits).abs().max() / logits.abs().max()).item(), 4)


def make(case, folder, seed):
    torch.manual_seed(seed)
    shutil.rmtree(folder, ignore_errors=True)
    make_base(case, folder)
    base = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=6, target_modules=case.targets, task_type="SEQ_CLS", **case.lora))
    with torch.no_grad():
        for name, w in model.named_parameters():
            if "lora_B" in name:
                w.normal_(0, 0.1)
    save_adapter(model, folder / "initial")
    vocab = model.config.vocab_size
    batch = random_batch(case, vocab, [11, 19, 7, 1])
    found = forward(model, case, batch)
    found.loss.backward()
    saved = {name: w.grad.clone() for name, w in trained(model).items()}
    save_file({"logits": found.logits.detach().contiguous(), **saved}, folder / "reference.safetensors", metadata={"format": "pt"})
    model.zero_grad(set_to_none=True)
    trainable, everything = model.get_nb_trainable_parameters()
    batches = [random_batch(case, vocab, [5 + i % 7, 17, 3 + i]) for i in range(STEPS)]
    trace = train(model, case, batches)
    save_adapter(model, folder / "final")
    last = forward(model, case, batch).logits.detach().tolist()
    reference = dict(
        about=case.about, versions=dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__),
        problem=case.problem, batch=batch, loss=found.loss.item(), bf16_logits=bf16_error(case, folder, batch, found.logits.detach()), trainable=trainable, all=everything,
        training=dict(**TRAINING, batches=batches, trace=trace), final_logits=last)
    (folder / "reference.json").write_text(collapse_numbers(json.dumps(reference, indent=1)) + "\n")
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{case.name}: loss {reference['loss']:.4f}, {trace[0]['loss']:.4f} -> {trace[-1]['loss']:.4f}, {size // 1024} KB")


def trained(model):
    return {name.replace(".modules_to_save", ""): w for name, w in adapter_parameters(model).items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", help="name of one case")
    p.add_argument("--output_dir", default=Path(__file__).parents[2] / "test" / "goldens-classify", type=Path)
    a = p.parse_args()
    torch.set_num_threads(1)
    for i, case in enumerate(CASES):
        if a.only in (None, case.name):
            make(case, a.output_dir / case.name, seed=300 + i)


if __name__ == "__main__":
    main()
