// Tables of rotary angles, with the context-extension rules of Hugging Face transformers (modeling_rope_utils).
#pragma once
#include <vector>

#include "model/spec.h"

namespace lowrank {

// Immutable; only "dynamic" scaling depends on the length of the sequences.
struct RopeTable {
  RopeTable(const RopeSpec&, int64_t head_dim, int64_t positions, int64_t length);

  std::vector<float> cos, sin;  // (positions, D/2)
};

}  // namespace lowrank
