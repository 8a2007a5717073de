// Choosing the next token from logits.
#pragma once
#include <cstdint>
#include <vector>

namespace lowrank {

struct Sampling {
  float temperature = 0;  // 0: greedy
  int64_t top_k = 0;      // 0: off
  float top_p = 1;        // 1: off
  uint64_t seed = 0;
};

// Order of the filters as in transformers: temperature, top-k, then top-p (nucleus sampling, Holtzman et al., 2020: the
// smallest set of most likely tokens whose probabilities reach top_p). index numbers the token within the generation.
// Error E_NAN where a logit is not a number.
int32_t sample(const float* logits, int64_t vocab, const Sampling&, uint64_t index);

}  // namespace lowrank
