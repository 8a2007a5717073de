// Products of codes of 8 bits, in whole numbers.
#pragma once
#include <cstdint>

namespace lowrank::cuda {

// c = a b^T: (M, K) and (N, K) codes, (M, N) sums; rows follow one another.
struct CodeProduct {
  const int8_t *a, *b;
  int32_t* c;
  int64_t m, n, k;

  // Whether cuBLASLt multiplies them on tensor cores: its documentation asks for multiples of 4, and lines of 16 bytes are the fast ones.
  bool is_aligned() const {
    const auto at = reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(c);
    return k % 16 == 0 && n % 4 == 0 && at % 16 == 0;
  }
};

}  // namespace lowrank::cuda
