// A model's description from JavaScript (src/native/spec.ts, and ModelSource of types.ts).
#pragma once
#include <napi.h>

#include "model/spec.h"

namespace lowrank::addon {

Format to_format(const std::string& name);
ModelSpec to_spec(const Napi::Value&);  // of spec.ts
TensorEntry to_tensor(const Napi::Value&);
ModelSource to_source(const Napi::Value&);

}  // namespace lowrank::addon
