# The peer of bench-chat: Hugging Face datasets' map with the tokenising function of TRL's SFTTrainer, to its written cache; prints one JSON
# line.
import json, logging, resource, sys, time

import datasets
from transformers import PreTrainedTokenizerFast

logging.disable(logging.WARNING)
o = json.loads(sys.argv[1])
datasets.disable_progress_bars()
tokenizer = PreTrainedTokenizerFast.from_pretrained(o["tokenizer"])
template = open(o["template"], encoding="utf-8", newline="").read()


return_mask = "endgeneration" in template


def tokenise(row):
    made = tokenizer.apply_chat_template(
        row["messages"], chat_template=template, return_dict=True, return_assistant_tokens_mask=return_mask
    )
    return {name: made[name][: o["maxLength"]] for name in ("input_ids", "assistant_masks") if name in made}


def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


start, before = time.perf_counter(), cpu()
rows = datasets.load_dataset("json", data_files=o["file"], split="train", cache_dir=o["cache"])
loaded = time.perf_counter()
mapped = rows.map(tokenise, num_proc=o["threads"], remove_columns=rows.column_names, load_from_cache_file=False)
end = time.perf_counter()
used = cpu() - before
made = {
    "seconds": end - start,
    "map_seconds": end - loaded,
    "cpu": used,
    "rows": len(mapped),
    "tokens": sum(map(len, mapped["input_ids"])),
}
if "assistant_masks" in mapped.column_names:
    made["learned"] = sum(map(sum, mapped["assistant_masks"]))
print(json.dumps(made))
