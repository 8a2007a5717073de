// The commands of an engine's texts, and of the weights that an adapter is merged into.
#pragma once
#include "addon/engine_work.h"

namespace lowrank::addon {

EngineWork generate_start(const Napi::CallbackInfo&);    // (prompt, sampling, adapter, text, like): the first token
EngineWork generate_next(const Napi::CallbackInfo&);     // (token, text): the next one
EngineWork generate_next_of(const Napi::CallbackInfo&);  // (texts, tokens): Int32Array
EngineWork merged_weight(const Napi::CallbackInfo&);     // (module, adapter, decoded): bytes
EngineWork merged_bias(const Napi::CallbackInfo&);       // (module, dtype, adapter): bytes

}  // namespace lowrank::addon
