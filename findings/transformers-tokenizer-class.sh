#!/usr/bin/env bash
# AutoTokenizer does not use the whole tokenizer.json. Where tokenizer_config.json names a class with a constructor of its own (GPT2Tokenizer, Qwen2Tokenizer,
# GPTNeoXTokenizer ...), it takes vocabulary and merges from the file, and builds normaliser and pre-tokeniser anew by the class. A normaliser or a splitting of
# digits that the file asks for is dropped without a word, and saving writes a tokenizer.json without them. Everything else that reads the file (tokenizers in
# Rust, Python and JavaScript) gives other ids: a model trained with one is served with the other. PreTrainedTokenizerFast as the class keeps the file. lowrank
# follows the file, and warns where the class would give other ids.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==5.24.0 tokenizers==0.23.3
cd "$work"
export HF_HUB_OFFLINE=1 HF_HOME="$work/home"
"$work/venv/bin/python" - <<'PYTHON'
import json
import os
import sys
import warnings

import tokenizers
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__)
merges = [("1", "2"), ("12", "3"), ("h", "e")]
pieces = sorted(pre_tokenizers.ByteLevel.alphabet()) + [a + b for a, b in merges] + ["<|endoftext|>"]
made = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
made.normalizer = normalizers.Lowercase()
digits, bytes_of_words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
made.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_of_words])
made.decoder = decoders.ByteLevel()
text = "HE 123"
wanted = made.encode(text).tokens
print("tokenizer.json:", wanted)


def read(name):
    os.makedirs(name)
    made.save(f"{name}/tokenizer.json")
    with open(f"{name}/tokenizer_config.json", "w") as file:
        json.dump({"tokenizer_class": name, "eos_token": "<|endoftext|>"}, file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = AutoTokenizer.from_pretrained(name)
    found = loaded.tokenize(text)
    loaded.save_pretrained(f"{name}/saved")
    again = Tokenizer.from_file(f"{name}/saved/tokenizer.json").encode(text).tokens
    print(f"{name}: {found}; the file that it saves: {again}; warnings: {len(caught)}")
    return found, again, len(caught)


whole = ["H", "E", "Ġ", "123"]
kept = [read(name) == (wanted, wanted, 0) for name in ("PreTrainedTokenizerFast", "TokenizersBackend")]
lost = [read(name) == (whole, whole, 0) for name in ("GPT2Tokenizer", "GPTNeoXTokenizer")]
partly = read("Qwen2Tokenizer")[0] == ["H", "E", "Ġ", "1", "2", "3"]
sys.exit(0 if wanted == ["he", "Ġ", "1", "2", "3"] and all(kept + lost) and partly else 1)
PYTHON
