"""Writes test/fixtures/added-tokens.json: transformers' ids and texts of tokens that only the files beside tokenizer.json name.

Usage: python scripts/goldens/added_tokens.py    (needs transformers; the committed file was written by version 5.24.0)
"""
import json
import logging
import os
import pathlib
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoTokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
BASE = ROOT / "examples" / "tiny-base"
FIRST = 2048
TEXTS = ["a <|tool|> b", "x<|tool|>y  <|tool|>", "</s>a tool, atool", "<|pad|><|b|><|tool|>", "cafe\u0301 caf\u00e9"]


def token(content, **changes):
    flags = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    return {"content": content, **flags, **changes}


def decoder(*tokens, first=FIRST):
    own = {"0": token("<s>"), "1": token("</s>")}
    return {"added_tokens_decoder": {**own, **{str(first + i): t for i, t in enumerate(tokens)}}}


TYPED = {"__type": "AddedToken"}
CASES = {
    "in added_tokens_decoder": {"config": decoder(token("<|pad|>"), token("<|tool|>"))},
    "with a gap before it": {"config": decoder(token("<|tool|>"), first=FIRST + 10)},
    "in another order": {"config": {"added_tokens_decoder": {"2049": token("<|tool|>"), "2048": token("<|b|>")}}},
    "at the id of another": {"config": {"added_tokens_decoder": {"0": token("<s>"), "1": token("<|tool|>")}}},
    "with lstrip": {"config": decoder(token("<|tool|>", lstrip=True))},
    "with rstrip": {"config": decoder(token("<|tool|>", rstrip=True))},
    "a single word": {"config": decoder(token("tool", single_word=True))},
    "not special": {"config": decoder(token("<|tool|>", special=False, normalized=True))},
    "not special, but with a role": {"config": {**decoder(token("<|tool|>", special=False)), "pad_token": "<|tool|>"}},
    "without flags": {"config": decoder({"content": "<|tool|>"})},
    "of the vocabulary": {"config": decoder(token("a"))},
    "of the vocabulary, with a role": {"config": {"eos_token": "a"}},
    "with nothing in it": {"config": decoder(token(""))},
    "normalised": {"config": decoder(token("caf\u00e9", normalized=True))},
    "with other flags than tokenizer.json's": {"config": {"added_tokens_decoder": {"1": token("</s>", rstrip=True)}}},
    "additional": {"config": {"additional_special_tokens": ["<|tool|>", "<|b|>"]}},
    "additional beside a decoder": {"config": {**decoder(token("<|b|>")), "additional_special_tokens": ["<|tool|>"]}},
    "additional with flags": {"config": {"additional_special_tokens": [{**token("<|tool|>", lstrip=True), **TYPED}]}},
    "extra": {"config": {"extra_special_tokens": ["<|tool|>"]}},
    "extra by names": {"config": {"extra_special_tokens": {"tool_token": "<|tool|>"}}},
    "extra before additional": {"config": {"additional_special_tokens": ["<|tool|>"], "extra_special_tokens": ["<|b|>"]}},
    "with a role": {"config": {"pad_token": "<|pad|>"}},
    "with a role and flags": {"config": {"pad_token": {**token("<|tool|>", lstrip=True), **TYPED}}},
    "with a role of its own": {"config": {"tool_token": "<|tool|>"}},
    "several with roles": {
        "config": {"pad_token": "<|pad|>", "unk_token": "<|b|>", "additional_special_tokens": ["<|tool|>"]}
    },
    "with a role in the map": {"map": {"pad_token": "<|tool|>"}},
    "with a role and flags in the map": {"map": {"pad_token": token("<|tool|>", lstrip=True)}},
    "with a role, the map otherwise": {"config": {"pad_token": "<|b|>"}, "map": {"pad_token": "<|tool|>"}},
    "additional in the map": {"map": {"additional_special_tokens": ["<|tool|>"]}},
    "in the map beside a decoder": {"config": decoder(), "map": {"additional_special_tokens": ["<|tool|>"]}},
    "in added_tokens.json": {"added": {"<|tool|>": FIRST}},
    "in added_tokens.json, in another order": {"added": {"<|tool|>": FIRST + 1, "<|b|>": FIRST}},
    "in added_tokens.json and special": {
        "added": {"<|tool|>": FIRST},
        "config": {"additional_special_tokens": ["<|tool|>"]},
    },
    "in added_tokens.json beside a decoder": {"added": {"<|tool|>": FIRST}, "config": decoder()},
}
NAMES = {"config": "tokenizer_config.json", "map": "special_tokens_map.json", "added": "added_tokens.json"}


def observe(folder, parts):
    shutil.copy(BASE / "tokenizer.json", folder)
    shutil.copy(BASE / "config.json", folder)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", **parts.get("config", {})}
    files = {NAMES[name]: content for name, content in {**parts, "config": config}.items()}
    for name, content in files.items():
        pathlib.Path(folder, name).write_text(json.dumps(content))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    decoded = [tokenizer._tokenizer.decode(each, skip_special_tokens=True) for each in ids]
    return {"files": files, "ids": ids, "decoded": decoded, "pad": tokenizer.pad_token_id, "eos": tokenizer.eos_token_id}


def main():
    logging.disable(logging.WARNING)
    cases = {}
    for name, parts in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            cases[name] = observe(folder, parts)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items())
    out = ROOT / "test" / "fixtures" / "added-tokens.json"
    out.write_text(f'{{"texts": {json.dumps(TEXTS)},\n"cases": {{\n{lines}\n}}}}\n')


main()
