// Test data: a small generator (splitmix64; Steele et al., 2014) and values on a dtype's grid.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "base/dtype.h"

namespace lowrank::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return int64_t(next() % uint64_t(n)); }
  bool coin() { return next() & 1; }
  double uniform() { return double(next() >> 11) * 0x1p-53; }
  float symmetric() { return float(2 * uniform() - 1); }  // in [-1, 1)

  template <class T>
  T pick(std::initializer_list<T> list) {
    return list.begin()[below(int64_t(list.size()))];
  }
  template <class T>
  const T& pick(const std::vector<T>& list) {
    return list[size_t(below(int64_t(list.size())))];
  }

  // n values in [-size, size), each one that dtype `grid` holds exactly.
  std::vector<float> values(int64_t n, DType grid, float size = 1) {
    std::vector<float> v(static_cast<size_t>(n));
    for (float& x : v) {
      x = symmetric() * size;
      if (grid == DType::bf16) x = bf16_to_f32(f32_to_bf16(x));
      if (grid == DType::f16) x = f16_to_f32(f32_to_f16(x));
    }
    return v;
  }

 private:
  uint64_t state_;
};

}  // namespace lowrank::test
