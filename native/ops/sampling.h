// The arithmetic of the operation `sample`. Weights are whole numbers, so that a sum of them is the same in any order, and the same token is chosen
// whether tokens are sorted or not. Their order: the likelier first, of equals the one of the smaller number.
#pragma once
#include <cmath>

#include "ops/arguments.h"

namespace lowrank {

constexpr int kSampleBits = 24;  // of SampleRow::random

// Of a token: the most likely one has 2^40, and 2^22 tokens add up to less than 2^63.
LOWRANK_ON_DEVICE inline uint64_t sample_weight(float logit, float top, float temperature) {
  return uint64_t(exp(double(logit - top) / double(temperature)) * 0x1p40);
}

// The sum that a nucleus reaches, of the weights of all: at least its first token's.
LOWRANK_ON_DEVICE inline uint64_t nucleus_weight(float top_p, uint64_t total) {
  const uint64_t wanted = uint64_t(ceil(double(top_p) * double(total)));
  return wanted < 1 ? 1 : wanted < total ? wanted : total;
}

// The chosen token is the first one at which the sum of the weights is larger than this.
LOWRANK_ON_DEVICE inline uint64_t drawn_weight(uint32_t random, uint64_t total) {
  const uint64_t high = total >> kSampleBits, low = total & ((uint64_t(1) << kSampleBits) - 1);
  return high * random + (low * random >> kSampleBits);
}

}  // namespace lowrank
