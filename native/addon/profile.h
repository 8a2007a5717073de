// The commands about an engine itself: its speed, its memory and what it chose.
#pragma once
#include "addon/engine_work.h"

namespace lowrank::addon {

EngineWork profile(const Napi::CallbackInfo&);      // { matmulPeak, names, events: f64 of (name's number, begin, seconds, flop) }
EngineWork matmul_peak(const Napi::CallbackInfo&);  // (again): FLOP/s
EngineWork trim(const Napi::CallbackInfo&);         // ()
EngineWork device_plans(const Napi::CallbackInfo&);  // (): text
EngineWork take_device_plans(const Napi::CallbackInfo&);  // (text): why they cannot be taken, or an empty text

}  // namespace lowrank::addon
