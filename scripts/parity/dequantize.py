#!/usr/bin/env python3
"""Writes a folder that bitsandbytes quantised with its weights dequantised, in float32, as transformers does it.

  python dequantize.py QUANTISED_FOLDER OUTPUT_FOLDER
"""
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    source, output = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).dequantize().float()
    model.save_pretrained(output)
    AutoTokenizer.from_pretrained(source).save_pretrained(output)


if __name__ == "__main__":
    main()
