# The peer of bench-data: Hugging Face datasets' map over the same texts, to its written cache; prints one JSON line.
import json, sys, time

import datasets
from transformers import AutoTokenizer

o = json.loads(sys.argv[1])
datasets.disable_progress_bars()
tokenizer = AutoTokenizer.from_pretrained(o["tokenizer"])


def tokenise(rows):
    return tokenizer(rows["text"], truncation=True, max_length=o["maxLength"])


start = time.perf_counter()
texts = datasets.load_dataset("json", data_files=o["file"], split="train", cache_dir=o["folder"])
loaded = time.perf_counter()
mapped = texts.map(
    tokenise, batched=True, num_proc=o["threads"], remove_columns=texts.column_names, load_from_cache_file=False
)
end = time.perf_counter()
tokens = sum(len(ids) for ids in mapped["input_ids"])
print(json.dumps({"seconds": end - start, "map_seconds": end - loaded, "texts": len(mapped), "tokens": tokens}))
