#!/usr/bin/env python3
"""Runs a training script with bitsandbytes' LLM.int8 as a GPU trains it: activations are rounded in training, too, which
bitsandbytes leaves out on a CPU.

  rounded_activations.py SCRIPT [OPTIONS OF THE SCRIPT]
"""
import runpy
import sys

from bitsandbytes.autograd import _functions

_functions.MatMul8bitFp = _functions.MatMul8bitLt
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
