// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A number depends on (seed, stream, index) alone, so neither threads nor a resumed run change it.
#pragma once
#include <array>
#include <cstdint>

#include "base/on_device.h"
#include "base/varying.h"

namespace lowrank {

// Four 32-bit words for one counter: key = seed, counter = (index low, index high, stream low, stream high).
LOWRANK_ON_DEVICE constexpr std::array<uint32_t, 4> philox(uint64_t seed, uint64_t stream, uint64_t index) {
  uint32_t c0 = uint32_t(index), c1 = uint32_t(index >> 32), c2 = uint32_t(stream), c3 = uint32_t(stream >> 32);
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
    const uint32_t n0 = uint32_t(p1 >> 32) ^ c1 ^ k0, n2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c1 = uint32_t(p1);
    c3 = uint32_t(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

// Word j % 4 of philox(seed, stream, j / 4). Chosen without an index, which would send a device's registers to memory.
LOWRANK_ON_DEVICE inline uint32_t philox_word(uint64_t seed, uint64_t stream, uint64_t j) {
  const std::array<uint32_t, 4> words = philox(seed, stream, j / 4);
  const uint32_t low = j % 2 ? words[1] : words[0], high = j % 2 ? words[3] : words[2];
  return j % 4 < 2 ? low : high;
}

// Uniform in [0, 1), 24 bits.
LOWRANK_ON_DEVICE inline float uniform01(uint32_t word) { return float(word >> 8) * 0x1p-24f; }

// Inverted dropout: with j = offset + i, element i of a matrix (row-major index) is kept when word j%4 of
// philox(seed, stream, j/4) as uniform01 is >= p, and then scaled by 1/(1-p). p = 0 means no dropout. The offset lets a
// matrix be computed in pieces of rows under one mask.
struct Dropout {
  float p = 0;
  uint64_t seed = 0, stream = 0, offset = 0;
  // Where stream and offset follow from what varies: how they grow with the micro-batch's number, and with what is before, as Varying counts it.
  uint64_t per_stream = 0, per_token = 0, per_read = 0;
  const Varying* varying = nullptr;  // null: they are numbers. Backends that repeat nothing are given numbers.

  LOWRANK_ON_DEVICE bool active() const { return p > 0; }
  LOWRANK_ON_DEVICE Dropout of(const Varying& v) const {
    Dropout d = *this;
    d.stream += v.rng_stream * per_stream;
    d.offset += v.tokens * per_token + v.read * per_read;
    d.per_stream = d.per_token = d.per_read = 0;
    d.varying = nullptr;
    return d;
  }
  LOWRANK_ON_DEVICE Dropout now() const { return varying ? of(*varying) : *this; }
  LOWRANK_ON_DEVICE bool keep(uint64_t i) const { return uniform01(philox_word(seed, stream, offset + i)) >= p; }
};

}  // namespace lowrank
