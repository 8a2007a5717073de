"""What PEFT adapts: reads [{folder, task, requests: [LoraConfig's keys]}] as JSON from the file LOWRANK_REQUESTS names, and prints for each folder its
linears outside of the head, PEFT's default target modules, and for each request the modules with rank and scale, or the error."""
import json
import os

import torch
from peft import LoraConfig, get_peft_model
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULTS
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

KINDS = {"CAUSAL_LM": AutoModelForCausalLM, "SEQ_CLS": AutoModelForSequenceClassification}


def name_of(parameter):
    return parameter.removeprefix("base_model.model.").replace(".default", "").replace(".modules_to_save", "")


def adapted(config, task, request):
    with torch.device("meta"):
        base = KINDS[task].from_config(config)
    try:
        model = get_peft_model(base, LoraConfig(task_type=task, **request))
    except Exception as error:
        return dict(error=f"{type(error).__name__}: {error}")
    modules = {name_of(n): [m.r["default"], m.scaling["default"]] for n, m in model.named_modules() if hasattr(m, "lora_A") and len(m.lora_A)}
    embeddings = [name_of(n) for n, m in model.named_modules() if hasattr(m, "lora_embedding_A") and len(m.lora_embedding_A)]
    trainable, everything = model.get_nb_trainable_parameters()
    return dict(modules=modules, embeddings=embeddings, trainable=trainable, all=everything)


with open(os.environ["LOWRANK_REQUESTS"]) as file:
    folders = json.load(file)
answers = []
for each in folders:
    config = AutoConfig.from_pretrained(each["folder"])
    found = [adapted(config, each["task"], request) for request in each["requests"]]
    answers.append(dict(defaults=DEFAULTS.get(config.model_type), found=found))
print(json.dumps(answers))
