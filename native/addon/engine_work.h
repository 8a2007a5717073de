// What a command of an engine is: its arguments are converted at once, on the JavaScript thread, and its work is done on the engine's.
#pragma once
#include <functional>

#include "addon/convert.h"
#include "addon/worker.h"
#include "train/engine.h"

namespace lowrank::addon {

using EngineWork = std::function<Result(Engine&)>;

// Results of works.
Result as_number(double);
Result as_tensors(TensorMap);
Result as_bytes(std::vector<uint8_t>);
Result as_floats(std::vector<float>);

}  // namespace lowrank::addon
