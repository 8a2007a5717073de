// The commands of an engine's group of ranks: arguments are converted at once, the work is done on the engine's thread.
#pragma once
#include "addon/engine_work.h"

namespace lowrank::addon {

EngineWork group_readings(const Napi::CallbackInfo&);  // { rank, size, waited, sumsOnDevice, aboutSums }
EngineWork join_devices(const Napi::CallbackInfo&);
EngineWork sum_over_ranks(const Napi::CallbackInfo&);  // (Float64Array): a new one
EngineWork gather_texts(const Napi::CallbackInfo&);    // (text): one of each rank
EngineWork share_adapter(const Napi::CallbackInfo&);   // (adapter)
EngineWork finish_group(const Napi::CallbackInfo&);

}  // namespace lowrank::addon
