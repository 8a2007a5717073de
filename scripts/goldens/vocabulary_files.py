"""Writes test/fixtures/vocabulary-files.json: transformers' tokens of folders that have a vocabulary and no tokenizer.json.

Usage: python scripts/goldens/vocabulary_files.py    (needs transformers; the committed file was written by version 5.24.0)

For each case: its files, and for each text or pair the ids and token types, whole and cut to six tokens on either side.
"""
import json
import logging
import os
import pathlib
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoTokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
LENGTH = 6
TEXTS = [["The quick foxes jumped over\u00e9r \u4e2d\u6587, the end!"], ["a [MASK] b<mask>c</s>d"], ["ab a  ## ab\n\nabc", "quick fox"],
         ["the fox, the fox, the fox", "a quick fox jumps over a quick fox"], ["caf\u00e9 cafe\u0301\u200b \u0000x", "\u00c9clair"], ["a <|endoftext|>", "12 3"]]
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the The a quick fox ##es jump ##ed ##s over ##e ##r \u00e9 e ##\u00e9r caf ##e ##\u00e9 \u4e2d \u6587 ! , b c x".split()


def byte_letters():
    """The letters of all bytes, as GPT-2 names them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(others))]


SPACE = chr(256 + 32)
BPE = ["<s>", "<pad>", "</s>", "<unk>", *byte_letters(), "ab", SPACE + "a", "##", SPACE + "ab"]
MERGES = f"#version: 0.2\na b\n{SPACE} a\n# #\n{SPACE} ab\n"


def bpe(model, **config):
    files = {"vocab.json": {token: i for i, token in enumerate(BPE)}, "merges.txt": MERGES, "config.json": {"model_type": model}}
    return {**files, **({"tokenizer_config.json": config} if config else {})}


def pieces(words, model="bert", **config):
    files = {"vocab.txt": "".join(f"{word}\n" for word in words), "config.json": {"model_type": model}}
    return {**files, **({"tokenizer_config.json": config} if config else {})}


CASES = {
    "BERT": pieces(WORDS),
    "BERT, with case": pieces(WORDS, do_lower_case=False, tokenizer_class="BertTokenizer"),
    "DistilBERT, Fast, with accents and without Chinese apart": pieces(
        WORDS, "distilbert", tokenizer_class="DistilBertTokenizerFast", strip_accents=False, tokenize_chinese_chars=False),
    "BERT, other tokens and no mask": pieces(["<p>", "<u>", "<c>", "<e>", *WORDS[5:]], unk_token="<u>", pad_token="<p>",
                                             cls_token="<c>", sep_token="<e>"),
    "RoBERTa": bpe("roberta"),
    "RoBERTa, a space before": bpe("roberta", add_prefix_space=True, mask_token={"__type": "AddedToken", "content": "<mask>", "lstrip": True,
                                                                             "rstrip": False, "normalized": False, "single_word": False, "special": True}),
    "GPT-2": bpe("gpt2"),
    "GPT-2, as OPT has it": bpe("opt", tokenizer_class="GPT2Tokenizer", add_bos_token=True, bos_token="</s>", eos_token="</s>", unk_token="</s>"),
    "Qwen2": bpe("qwen2"),
}


def observe(folder, files):
    for name, content in files.items():
        with open(pathlib.Path(folder, name), "w", encoding="utf-8", newline="") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for text in TEXTS:
        row = []
        for side in (None, "left", "right"):
            if side is not None:
                tokenizer.truncation_side = side
            cut = {} if side is None else {"truncation": True, "max_length": LENGTH}
            tokens = tokenizer(*text, return_token_type_ids=True, **cut)
            row.append([tokens["input_ids"], tokens["token_type_ids"]])
        found.append(row)
    return {"files": files, "tokens": found, "pad": tokenizer.pad_token_id}


def main():
    logging.disable(logging.WARNING)
    lines = []
    for name, files in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            lines.append(f"{json.dumps(name)}: {json.dumps(observe(folder, files))}")
    out = ROOT / "test" / "fixtures" / "vocabulary-files.json"
    separator = ",\n"
    out.write_text(f'{{"length": {LENGTH}, "texts": {json.dumps(TEXTS)},\n"cases": {{\n{separator.join(lines)}\n}}}}\n')


main()
