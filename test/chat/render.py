# Renders conversations with transformers' own code. Standard input names the templates' folder and the conversations. Standard output has,
# for each template and conversation, the text and the spans of its generation blocks, or the error.
import json, logging, os, sys
from transformers.utils import chat_template_utils as chat

logging.disable(logging.WARNING)
given = json.load(sys.stdin)
folder = given["folder"] or os.path.join(__import__("importlib.util").util.find_spec("trl").submodule_search_locations[0], "chat_templates")
found = {}
for name in sorted(os.listdir(folder)):
    if not name.endswith(".jinja"):
        continue
    template = open(os.path.join(folder, name), encoding="utf-8", newline="").read()
    rows = []
    for text in given["conversations"]:
        case = json.loads(text)
        try:
            messages = chat._normalize_chat_messages(case["messages"])
            texts, spans = chat.render_jinja_template(
                [messages], tools=case.get("tools"), documents=case.get("documents"), chat_template=template,
                return_assistant_tokens_mask=True, add_generation_prompt=case.get("prompt", False),
                **given["tokens"], **case.get("variables", {}))
            rows.append({"text": texts[0], "spans": spans[0]})
        except Exception as error:
            rows.append({"error": f"{type(error).__name__}: {error}"})
    found[name] = {"template": template, "rows": rows}
json.dump(found, sys.stdout)
