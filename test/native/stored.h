// Weights in blocks of codes: random ones, with statistics of the usual size.
#pragma once
#include <cstdint>
#include <vector>

#include "quant/weight.h"
#include "random.h"

namespace lowrank::test {

struct Stored {
  std::vector<uint8_t> bytes;
  std::vector<float> absmax, map;
  std::vector<uint8_t> codes;
  Weight weight;  // of `bytes` and the statistics here; not to be used after a move
};

struct StoredAs {
  Format format = Format::f32;
  int64_t interleaved = 0, block_size = 64;
  bool nested = false;  // of nf4 and fp4: maxima quantised once more
  float threshold = 0;  // of i8: Weight::outlier_threshold
  GradientCodes gradients = GradientCodes::none;  // of i8
};

// Elements lie in about [-1, 1].
void make_stored(Stored& out, const StoredAs&, int64_t rows, int64_t cols, Random&);

// Every format other than plain ones.
inline const std::vector<Format> kQuantized = {Format::nf4,  Format::fp4,  Format::i8,   Format::q4_0, Format::q4_1,
                                               Format::q5_0, Format::q8_0, Format::q4_k, Format::q5_k, Format::q6_k};

}  // namespace lowrank::test
