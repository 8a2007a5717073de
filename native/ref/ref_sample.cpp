#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "ops/sampling.h"
#include "ref/ref_backend.h"

namespace lowrank {

namespace {

int32_t token_of(const Mat& logits, int64_t n, const SampleRow& row) {
  std::vector<float> z(static_cast<size_t>(logits.cols));
  for (size_t i = 0; i < z.size(); i++) z[i] = logits.get(n, int64_t(i));
  std::vector<int32_t> order(z.size());
  std::iota(order.begin(), order.end(), 0);
  if (std::any_of(z.begin(), z.end(), [](float x) { return std::isnan(x) || x == INFINITY; })) return kNoToken;
  std::stable_sort(order.begin(), order.end(), [&](int32_t x, int32_t y) { return z[size_t(x)] > z[size_t(y)]; });
  const float top = z[size_t(order[0])];
  if (top == -INFINITY) return kNoToken;
  if (row.temperature <= 0) return order[0];
  if (row.top_k > 0 && row.top_k < logits.cols) order.resize(size_t(row.top_k));
  const auto weight = [&](int32_t token) { return sample_weight(z[size_t(token)], top, row.temperature); };
  const auto sum = [&] {
    uint64_t all = 0;
    for (const int32_t token : order) all += weight(token);
    return all;
  };
  if (row.top_p < 1) {
    const uint64_t wanted = nucleus_weight(row.top_p, sum());
    uint64_t reached = 0;
    size_t nucleus = 0;
    while (reached < wanted) reached += weight(order[nucleus++]);
    order.resize(nucleus);
  }
  const uint64_t drawn = drawn_weight(row.random, sum());
  uint64_t passed = 0;
  for (const int32_t token : order) {
    passed += weight(token);
    if (passed > drawn) return token;
  }
  return kNoToken;
}

}  // namespace

void RefBackend::do_sample(const SampleArgs& a) {
  for (int64_t n = 0; n < a.logits.rows; n++) a.tokens[n] = token_of(a.logits, n, a.rows[n]);
}

}  // namespace lowrank
