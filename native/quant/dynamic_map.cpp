// Compiled without fused multiply-adds, except for explicit ones: every rounding counts.
#include "quant/dynamic_map.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lowrank {

namespace {

constexpr float kDecades[] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.f};

// Element i of PyTorch's linspace(0.1, 1, n): counted from the nearer end, rounded once.
float point(int i, int n) {
  const float step = (1.f - 0.1f) / float(n - 1);
  return i < n / 2 ? std::fma(step, float(i), 0.1f) : std::fma(-step, float(n - 1 - i), 1.f);
}

// Each decade has twice the values of the one below: the middles of equal parts.
std::vector<float> make_map(bool with_sign) {
  std::vector<float> map = {0.f, 1.f};
  int parts = with_sign ? 1 : 2;
  for (const float decade : kDecades) {
    for (int i = 0; i < parts; i++) {
      const float value = decade * ((point(i, parts + 1) + point(i + 1, parts + 1)) / 2.f);
      map.push_back(value);
      if (with_sign) map.push_back(-value);
    }
    parts *= 2;
  }
  std::sort(map.begin(), map.end());
  return map;
}

}  // namespace

const float* dynamic_map() {
  static const std::vector<float> map = make_map(true);
  return map.data();
}

const float* dynamic_map_unsigned() {
  static const std::vector<float> map = make_map(false);
  return map.data();
}

}  // namespace lowrank
