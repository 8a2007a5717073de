"""Conversations as TRL's SFTTrainer tokenises and masks them.

Usage: python scripts/goldens/chat.py              writes test/fixtures/chat.json: some templates, by the trainer itself
       python scripts/goldens/chat.py TOKENIZER    prints the same for a tokenizer's folder and all of TRL's templates, by the trainer's functions
(needs trl, transformers and torch; written by trl 1.16.0, transformers 5.24.0)
"""
import base64
import json
import logging
import os
import pathlib
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import datasets
import numpy
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer
from trl.data_utils import _tokenize, common_prefix_length

ROOT = pathlib.Path(__file__).parents[2]
TINY = ROOT / "examples" / "tiny-base"
SMOLLM = ROOT.parent / "shared" / "models" / "smollm2-135m-instruct"
TEMPLATES = pathlib.Path(trl.__file__).parent / "chat_templates"
# Each beside its variant with generation blocks, NAME_training.
NAMES = ["llama3", "qwen2_5", "qwen3", "gemma3", "phi3", "deepseekv3"]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather <b>&</b> é", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "near": {"type": "number", "minimum": 0.0}}, "required": ["city"]}}}]


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


CONVERSATIONS = [
    {"messages": [user("Hi"), assistant("Hello.")]},
    {"messages": [system("Be brief."), user("Hi"), assistant("Hello."), user("More?"), assistant("No.")]},
    {"messages": [user("  spaces \n"), assistant("\n\n    indented\n  code\n\n  ")]},
    {"messages": [user("😀 é \u200b\u00a0x\r\ny"), assistant("日本 😀 ok\u2028z"), user("naïve 😀😀"), assistant("ünï 🙂.")]},
    {"messages": [user("<|im_end|>"), assistant("{{ x }} {% y %} </s>"), user("a"), assistant("<|user|> b")]},
    {"messages": [user("a"), assistant("b"), user("c"), assistant(""), user("d"), assistant("e")]},
    {"messages": [user("q"), assistant("a", reasoning_content="\n  think \n"), user("q2"), assistant("b", reasoning_content="more")]},
    {"messages": [user("q"), assistant("<think>\n  why\n</think>\n\n  because"), user("r"), assistant("plain")]},
    {"messages": [user("w?"), assistant("", tool_calls=[{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "é", "near": 1.0}}}]),
                  {"role": "tool", "name": "get_weather", "content": "{\"t\": 1.0}"}, assistant("Sunny.")], "tools": TOOLS},
    {"messages": [user("a"), assistant("b"), assistant("c"), user("d"), user("e"), assistant("f")]},
    {"messages": [assistant("first"), user("a"), assistant("b")]},
    {"messages": [user("1 + 1 = ?"), assistant("2"), user("2.50?"), assistant("Yes,\n2.5.\n")]},
    {"messages": [user("x " * 40), assistant("y " * 40)] * 6},
]


def packed(ids):
    assert max(ids, default=0) < 2**16
    return base64.b64encode(numpy.array(ids, dtype="<u2").tobytes()).decode()


def runs(labels):
    """Lengths of the parts that are masked and learned, in turns; the first is masked. A first token follows nothing."""
    found, learned = [0], False
    for i, label in enumerate(labels):
        if (label != -100 and i > 0) != learned:
            found.append(0)
            learned = not learned
        found[-1] += 1
    return found


class Functions:
    """What the trainer does with a row, without its data sets."""
    def __init__(self, folder):
        # This class follows tokenizer.json; others build parts of it anew.
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)

    def row(self, example, template, assistant_only):
        try:
            more = {"chat_template": template, "tools": example.get("tools")}
            if "prompt" in example:
                prompt = _tokenize(self.tokenizer, example["prompt"], add_generation_prompt=True, **more)["input_ids"]
                ids = _tokenize(self.tokenizer, example["prompt"] + example["completion"], **more)["input_ids"]
                context = common_prefix_length(prompt, ids)
                mask = [0] * context + [1] * (len(ids) - context)
            else:
                row = _tokenize(self.tokenizer, example["messages"], return_assistant_tokens_mask=assistant_only, **more)
                ids = row["input_ids"]
                mask = row.get("assistant_masks", [1] * len(ids))
            return {"ids": packed(ids), "runs": runs([1 if one else -100 for one in mask])}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"[:120]}


class Trainer:
    def __init__(self, folder):
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        self.args = SFTConfig(output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, report_to="none", max_length=None)
        model = AutoModelForCausalLM.from_pretrained(TINY)
        self.tokenizer.chat_template = (TEMPLATES / "llama3.jinja").read_text()
        data = Dataset.from_list([{"messages": [user("a"), assistant("b")]}])
        self.trainer = SFTTrainer(model=model, args=self.args, train_dataset=data, processing_class=self.tokenizer)

    def row(self, example, template, assistant_only):
        """Ids and runs of one example, or the error's text."""
        self.tokenizer.chat_template = template
        self.args.assistant_only_loss = assistant_only
        self.trainer.completion_only_loss = "prompt" in example
        try:
            [row] = self.trainer._prepare_dataset(Dataset.from_list([example]), self.tokenizer, self.args, False, None, "train")
            return {"ids": packed(row["input_ids"]), "runs": runs(row["labels"])}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"[:120]}


def dump(peer, names):
    """The results of each template and conversation; where ids are not given, they are the ids of `all`."""
    found = {}
    for name in names:
        text = {kind: (TEMPLATES / f"{name}{kind}.jinja").read_bytes().decode() for kind in ["", "_training"]
                if (TEMPLATES / f"{name}{kind}.jinja").exists()}
        rows = []
        for conversation in CONVERSATIONS:
            messages = conversation["messages"]
            more = {key: value for key, value in conversation.items() if key != "messages"}
            row = {"all": peer.row(conversation, text[""], False)}
            if "_training" in text:
                row["assistant"] = peer.row(conversation, text["_training"], True)
            if messages[-1]["role"] == "assistant" and len(messages) > 1:
                row["completion"] = peer.row({"prompt": messages[:-1], "completion": messages[-1:], **more}, text[""], False)
            for kind in ["assistant", "completion"]:
                if row.get(kind, {}).get("ids") == row["all"].get("ids"):
                    row.get(kind, {}).pop("ids", None)
            rows.append(row)
        found[name] = rows
    return found


def main():
    logging.disable(logging.WARNING)
    datasets.disable_progress_bars()
    datasets.disable_caching()
    conversations = [json.dumps(one, ensure_ascii=False) for one in CONVERSATIONS]
    if len(sys.argv) > 1:
        names = sorted(path.stem for path in TEMPLATES.glob("*.jinja") if not path.stem.endswith("_training"))
        json.dump({"conversations": conversations, "folder": str(TEMPLATES), "rows": dump(Functions(sys.argv[1]), names)}, sys.stdout)
        return
    folders = {"tiny": TINY, **({"smollm2": SMOLLM} if SMOLLM.exists() else {})}
    templates = {f"{name}{kind}": (TEMPLATES / f"{name}{kind}.jinja").read_bytes().decode() for name in NAMES for kind in ["", "_training"]}
    out = {"conversations": conversations, "templates": templates, "rows": {name: dump(Trainer(folder), NAMES) for name, folder in folders.items()}}
    (ROOT / "test" / "fixtures" / "chat.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
