// Tables of rotary angles, with the context-extension rules of Hugging Face transformers (modeling_rope_utils).
#pragma once
#include <vector>

#include "model/spec.h"

namespace lowrank {

class RopeTable {
 public:
  RopeTable(const RopeSpec&, int64_t head_dim, int64_t positions);

  // Prepares the tables for sequences of this length: only "dynamic" scaling depends on it.
  void use_length(int64_t length);

  const float* cos() const { return cos_.data(); }  // (positions, D/2)
  const float* sin() const { return sin_.data(); }
  int64_t bytes() const { return int64_t(cos_.size() + sin_.size()) * 4; }

 private:
  void fill(int64_t length);

  RopeSpec spec_;
  int64_t head_dim_, positions_, filled_for_ = -1;
  std::vector<float> cos_, sin_;
};

}  // namespace lowrank
