"""Small SentencePiece models and the ids that the sentencepiece package gives texts: test/fixtures/sentence-piece."""
import json
import pathlib
import sys
import tempfile

import sentencepiece as spm

TEXTS = [
    "the people of the united states", " a leading space", "two  spaces   and a trailing one ", "naïve café 日本語 😀", "a\nline\tand a tab", "",
    "   ", "▁ already", "ABC abc ＡＢＣ ﬁne", "<sep>people <sep> of", "congress congresses aaaaaaaa", "x", "1234567890",
]
COMMON = dict(vocab_size=300, hard_vocab_limit=False, num_threads=1, minloglevel=2, character_coverage=0.98)
CASES = {
    "unigram": dict(model_type="unigram"),
    "unigram-bytes": dict(model_type="unigram", byte_fallback=True, vocab_size=500, pad_id=3),
    "bpe": dict(model_type="bpe", byte_fallback=True, vocab_size=600, normalization_rule_name="identity", remove_extra_whitespaces=False),
    "bpe-no-bytes": dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False),
    "bpe-no-prefix": dict(model_type="bpe", byte_fallback=True, vocab_size=600, add_dummy_prefix=False, normalization_rule_name="identity",
                          remove_extra_whitespaces=False),
    "bpe-spaces": dict(model_type="bpe", normalization_rule_name="identity"),
    "symbols": dict(model_type="bpe", add_dummy_prefix=False, user_defined_symbols=["<sep>"], normalization_rule_name="identity",
                    remove_extra_whitespaces=False),
}
# Full-width letters and a ligature, for the maps of the package are large.
RULES = "FF21\t41\nFF22\t42\nFF23\t43\nFB01\t66 69\n"


def pieces(model):
    """[token, score, llama.cpp's kind] of each piece."""
    def kind(i):
        return 2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1
    return [[model.id_to_piece(i), model.get_score(i), kind(i)] for i in range(model.get_piece_size())]


def main(corpus, out):
    out = pathlib.Path(out)
    with tempfile.TemporaryDirectory() as work:
        rules = pathlib.Path(work, "rules.tsv")
        rules.write_text(RULES)
        ids, gguf = {}, {}
        for name, settings in CASES.items():
            own = {} if "normalization_rule_name" in settings else dict(normalization_rule_tsv=str(rules))
            spm.SentencePieceTrainer.train(input=corpus, model_prefix=f"{work}/{name}", **{**COMMON, **own, **settings})
            (out / f"{name}.model").write_bytes(pathlib.Path(work, f"{name}.model").read_bytes())
            model = spm.SentencePieceProcessor(model_file=str(out / f"{name}.model"))
            ids[name] = [model.encode(text) for text in TEXTS]
            if name == "bpe":
                gguf = pieces(model)
    (out / "ids.json").write_text(json.dumps({"version": spm.__version__, "texts": TEXTS, "ids": ids, "gguf": gguf}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
