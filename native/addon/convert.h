// JavaScript values to the engine's structures and back (the types are those of src/engine.ts).
#pragma once
#include <napi.h>

#include <map>
#include <vector>

#include "train/engine.h"

namespace lowrank::addon {

struct TensorF32 {
  int64_t rows = 0, cols = 0;
  std::vector<float> data;
};
using TensorMap = std::map<std::string, TensorF32>;

TensorEntry to_tensor(const Napi::Value&);
ModelSource to_source(const Napi::Value&);
AdapterSpec to_adapter_spec(const Napi::Value&);
EngineOptions to_options(const Napi::Value&);
Batch to_batch(const Napi::Value&);
OptimizerOptions to_optimizer(const Napi::Value&);
Sampling to_sampling(const Napi::Value&);
std::vector<int32_t> to_int32s(const Napi::Value&, const char* what);
TensorMap to_tensors(const Napi::Value&, const char* what);
double to_number(const Napi::Value&, const char* what);
std::string to_string(const Napi::Value&, const char* what);

// A flat buffer in an adapter layout as tensors "<module>.lora_A.weight" and "<module>.lora_B.weight", and back.
TensorMap unflatten(const AdapterLayout&, const float* flat);
void flatten(const AdapterLayout&, const TensorMap&, float* flat);  // Error E_ADAPTER: missing, unknown, wrong shape

Napi::Value from_tensors(Napi::Env, TensorMap&&);  // a Map; what is converted is freed at once

}  // namespace lowrank::addon
