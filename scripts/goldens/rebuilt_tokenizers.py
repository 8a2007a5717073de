#!/usr/bin/env python3
"""Makes test/fixtures/rebuilt-tokenizers.json: what transformers 5 makes of a tokenizer.json, by tokenizer_class and model_type.

  python scripts/goldens/rebuilt_tokenizers.py

Each case has the files of a folder, and the ids that AutoTokenizer gives some texts.
"""
import argparse
import json
import tempfile
from pathlib import Path

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

OUTPUT = Path(__file__).parents[2] / "test" / "fixtures" / "rebuilt-tokenizers.json"
CORPUS = ["one two three 12 34 12 34 12 one two a a the cat the cat don't don't naïve é ü CODE code code Code  two   spaces\nlines\n"] * 20
TEXTS = ["12 345 67890", " a a", "a  b\n\n c\td", "Ünï CODE naïve e\u0301 ﬁ", "don't I'LL", "x=1; y_2", "the<|user|>the cat", "<|user|> the", "two <|user|> two"]


def byte_level(digits=False, nfc=False):
    t = Tokenizer(models.BPE())
    if nfc:
        t.normalizer = normalizers.NFC()
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte]) if digits else byte
    t.decoder = decoders.ByteLevel()
    trained = Tokenizer(models.BPE())  # digits merge here
    trained.pre_tokenizer = byte
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"]))
    return with_model(t, trained)


def pieces(normalizer, pre_tokenizer=None):
    t = Tokenizer(models.BPE())
    trained = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    special = ["<unk>", "<s>", "</s>", "<pad>", "<bos>", "<eos>"] + [f"<0x{b:02X}>" for b in range(256)]
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=360, special_tokens=special))
    t.normalizer, t.decoder = normalizer, decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    return with_model(t, trained)


def with_model(t, trained):
    """The parts of one tokenizer with the vocabulary of another, and a token of chats."""
    parts, model = json.loads(t.to_str()), json.loads(trained.to_str())
    whole = Tokenizer.from_str(json.dumps({**parts, "model": model["model"], "added_tokens": [a for a in model["added_tokens"] if not a["content"].startswith("<0x")]}))
    whole.add_special_tokens([AddedToken("<|user|>", special=True)])
    return whole


def spaces(*more):
    return normalizers.Sequence([*more, normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


GEMMA = pieces(normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"))
# tokenizer.json, tokenizer_config.json, config.json
CASES = {
    "GPT2Tokenizer, digits": (byte_level(digits=True), dict(tokenizer_class="GPT2Tokenizer"), dict(model_type="llama")),
    "GPT2Tokenizer, as it is": (byte_level(), dict(tokenizer_class="GPT2TokenizerFast"), dict(model_type="gpt2")),
    "GPT2Tokenizer of OLMo 2, digits": (byte_level(digits=True), dict(tokenizer_class="GPT2Tokenizer"), dict(model_type="olmo2")),
    "GPTNeoXTokenizer, without NFC": (byte_level(), dict(tokenizer_class="GPTNeoXTokenizer"), dict(model_type="gpt_neox")),
    "PreTrainedTokenizerFast of Qwen2, digits": (byte_level(digits=True), dict(tokenizer_class="PreTrainedTokenizerFast"), dict(model_type="qwen2")),
    "Qwen2Tokenizer of Qwen3": (byte_level(nfc=True), dict(tokenizer_class="Qwen2Tokenizer"), dict(model_type="qwen3")),
    "PreTrainedTokenizerFast, digits": (byte_level(digits=True), dict(tokenizer_class="PreTrainedTokenizerFast"), dict(model_type="llama")),
    "LlamaTokenizer, prefixes": (pieces(spaces()), dict(tokenizer_class="LlamaTokenizer"), dict(model_type="llama")),
    "LlamaTokenizer, legacy": (pieces(spaces()), dict(tokenizer_class="LlamaTokenizer", legacy=True), dict(model_type="llama")),
    "LlamaTokenizer, no prefix": (pieces(spaces()), dict(tokenizer_class="LlamaTokenizer", add_prefix_space=False), dict(model_type="llama")),
    "LlamaTokenizerFast, lower case": (pieces(spaces(normalizers.Lowercase())), dict(tokenizer_class="LlamaTokenizerFast"), dict(model_type="llama")),
    "LlamaTokenizer, bytes": (byte_level(digits=True), dict(tokenizer_class="LlamaTokenizer"), dict(model_type="llama")),
    "LlamaTokenizer of Phi-3": (pieces(spaces(normalizers.Lowercase())), dict(tokenizer_class="LlamaTokenizer"), dict(model_type="phi3")),
    "GemmaTokenizer": (GEMMA, dict(tokenizer_class="GemmaTokenizer"), dict(model_type="gemma2")),
    "GemmaTokenizer, lower case": (pieces(normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "▁")])), dict(tokenizer_class="GemmaTokenizer"), dict(model_type="gemma2")),
}


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found = {}
    for name, (tokenizer, settings, config) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            files = {"tokenizer.json": json.loads(tokenizer.to_str()), "tokenizer_config.json": settings, "config.json": config}
            for file, value in files.items():
                (Path(folder) / file).write_text(json.dumps(value))
            theirs = AutoTokenizer.from_pretrained(folder)
            ids = [theirs(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
            own = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
            print(f"{name}: {type(theirs).__name__}, {sum(a != b for a, b in zip(ids, own))} of {len(TEXTS)} texts differ")
            found[name] = dict(files=files, ids=ids)
    OUTPUT.write_text(json.dumps(dict(transformers=transformers.__version__, texts=TEXTS, cases=found), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
