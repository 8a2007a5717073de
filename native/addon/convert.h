// JavaScript values to the engine's structures and back (the types are in src/native/types.ts).
#pragma once
#include <napi.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "train/engine.h"

namespace lowrank::addon {

struct TensorF32 {
  int64_t rows = 0, cols = 0;
  std::vector<float> data;
  bool is_vector = false;  // JavaScript sees one dimension
};
using TensorMap = std::map<std::string, TensorF32>;

AdapterSpec to_adapter_spec(const Napi::Value&);
AdapterSpecs to_adapter_specs(const Napi::Value&);  // of null, one, or an array
EngineOptions to_options(const Napi::Value&);
Batch to_batch(const Napi::Value&);
OptimizerOptions to_optimizer(const Napi::Value&);
Sampling to_sampling(const Napi::Value&);
// Readings of src/native/types.ts: all of them, and a change of the ones that an object names.
Napi::Value from_state(Napi::Env, const StepState&);
std::function<void(StepState&)> to_state_change(const Napi::Value&);
std::vector<int32_t> to_int32s(const Napi::Value&, const char* what);
std::vector<double> to_doubles(const Napi::Value&, const char* what);
TensorMap to_tensors(const Napi::Value&, const char* what);

// A flat buffer as the tensors of an adapter layout, by name, and back.
TensorMap unflatten(const AdapterLayout&, const Buffer& flat);
void flatten(const AdapterLayout&, const TensorMap&, const Buffer& flat);  // Error E_ADAPTER: missing, unknown, wrong shape

// The moments of an 8-bit AdamW (native/train/moment_layout.h): a Map from each tensor's name to an object of m and v, Float32Arrays
// of small tensors, else Uint8Arrays of codes with Float32Arrays mMax and vMax.
struct MomentBytes {
  std::vector<uint8_t> m, v, m_max, v_max;
};
using MomentMap = std::map<std::string, MomentBytes>;
MomentMap read_moments(const AdapterSlot&);
void write_moments(const AdapterSlot&, const MomentMap&);  // Error E_ADAPTER: missing, unknown, wrong size
MomentMap to_moments(const Napi::Value&);
Napi::Value from_moments(Napi::Env, const MomentMap&);

Napi::Value from_shape(Napi::Env, int64_t rows, int64_t cols, bool is_vector);  // an array of two numbers, or one
Napi::Value from_tensors(Napi::Env, TensorMap&&);  // a Map; the converted memory is freed at once

}  // namespace lowrank::addon
