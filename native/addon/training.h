// The commands of an engine's adapters: their training, their evaluation and their state.
#pragma once
#include "addon/engine_work.h"

namespace lowrank::addon {

EngineWork parameter_counts(const Napi::CallbackInfo&);     // (adapter): { trainable, total }
EngineWork add_adapter(const Napi::CallbackInfo&);          // (spec): its number
EngineWork remove_adapter(const Napi::CallbackInfo&);       // (adapter)
EngineWork forward_backward(const Napi::CallbackInfo&);     // (batch, lossScale, rngStream, adapter, isLast)
EngineWork optimizer_step(const Napi::CallbackInfo&);       // (options, adapter)
EngineWork readings(const Napi::CallbackInfo&);             // (adapter)
EngineWork set_readings(const Napi::CallbackInfo&);         // (readings, adapter)
EngineWork evaluate(const Napi::CallbackInfo&);             // (batch, adapter): the sum of losses
EngineWork logits(const Napi::CallbackInfo&);               // (batch, adapter): Float32Array
EngineWork classify(const Napi::CallbackInfo&);             // (batch, adapter): { logits, loss }
EngineWork gradients(const Napi::CallbackInfo&);            // (adapter): tensors
EngineWork adapter(const Napi::CallbackInfo&);              // (adapter): tensors
EngineWork set_adapter(const Napi::CallbackInfo&);          // (tensors, adapter)
EngineWork optimizer_state(const Napi::CallbackInfo&);      // (adapter): { step, m, v }, or { step, moments }
EngineWork set_optimizer_state(const Napi::CallbackInfo&);  // (state, adapter)

}  // namespace lowrank::addon
