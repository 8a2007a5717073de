// What a text's next tokens are drawn by.
#pragma once
#include "base/random_streams.h"
#include "base/rng.h"
#include "ops/sampling.h"

namespace lowrank {

struct Sampling {
  float temperature = 0;  // as SampleRow's
  int64_t top_k = 0;
  float top_p = 1;
  uint64_t seed = 0;

  // index: the token's number within the generation
  SampleRow row(uint64_t index) const {
    return {.temperature = temperature, .top_p = top_p, .top_k = top_k, .random = philox(seed, streams::kSampling, index)[0] >> (32 - kSampleBits)};
  }
};

}  // namespace lowrank
