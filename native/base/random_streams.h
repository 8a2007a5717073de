// The streams of random numbers (base/rng.h) of one seed, each with its first number; from there it counts up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace lowrank::streams {

constexpr uint64_t kRoom = uint64_t(1) << 60;  // what none counts through

constexpr uint64_t kAdapterDropout = 0;
constexpr uint64_t kBaseDropout = kRoom;
constexpr uint64_t kSampling = 2 * kRoom;  // of next tokens
constexpr uint64_t kNoise = 3 * kRoom;     // NEFTune's
// By module, of which there are fewer than 2^32: values of A, of whole tensors, and vectors that PiSSA begins with.
constexpr uint64_t kInitialA = 4 * kRoom;
constexpr uint64_t kInitialWhole = kInitialA + (uint64_t(1) << 32);
constexpr uint64_t kInitialFactors = kInitialA + (uint64_t(1) << 33);
constexpr uint64_t kGradientCodes = 5 * kRoom;  // of gradients that are rounded by chance
constexpr uint64_t kClassifierDropout = 6 * kRoom;

constexpr bool are_apart() {
  constexpr uint64_t all[] = {kAdapterDropout, kBaseDropout, kSampling, kNoise, kInitialA, kInitialWhole, kInitialFactors, kGradientCodes, kClassifierDropout};
  for (size_t i = 0; i + 1 < std::size(all); i++) {
    for (size_t j = i + 1; j < std::size(all); j++) {
      if (all[i] == all[j]) return false;
    }
  }
  return true;
}
static_assert(are_apart());

}  // namespace lowrank::streams
