// Tables of rotary angles, with the context-extension rules of Hugging Face transformers (modeling_rope_utils).
#pragma once
#include <vector>

#include "model/spec.h"

namespace lowrank {

// Immutable; "dynamic" and "longrope" scaling depend on the length of the sequences.
struct RopeTable {
  RopeTable(const RopeSpec&, int64_t rotary_dim, int64_t positions, int64_t length);

  std::vector<float> cos, sin;  // (positions, E/2)
};

}  // namespace lowrank
