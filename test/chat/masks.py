# Tokens and masks of conversations by transformers' own code. Standard input names the tokenizers with their templates, and the
# conversations. Standard output has, for each tokenizer, template and conversation, the tokens and the assistant's mask, or the error.
import json, logging, os, sys
from importlib.util import find_spec
from transformers import PreTrainedTokenizerFast

logging.disable(logging.WARNING)
given = json.load(sys.stdin)
templates = os.path.join(find_spec("trl").submodule_search_locations[0], "chat_templates")
found = []
for one in given["tokenizers"]:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(one["folder"])
    for name in one["templates"]:
        path = os.path.join(templates, name + ".jinja")
        template = tokenizer.chat_template if name == "" else open(path, encoding="utf-8", newline="").read()
        has_marks = "{%- generation" in template or "{% generation" in template
        rows = []
        for text in given["conversations"]:
            case = json.loads(text)
            try:
                made = tokenizer.apply_chat_template(
                    case["messages"], tools=case.get("tools"), chat_template=template, return_dict=True,
                    return_assistant_tokens_mask=has_marks, **case.get("variables", {}))
                rows.append({"ids": made["input_ids"], "mask": made.get("assistant_masks")})
            except Exception as error:
                rows.append({"error": f"{type(error).__name__}: {error}"})
        found.append({"folder": one["folder"], "name": name, "template": template, "rows": rows})
json.dump(found, sys.stdout)
