#include "train/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace lowrank {

namespace {
constexpr uint64_t kSamplingStream = uint64_t(1) << 61;
}

int32_t sample(const float* logits, int64_t vocab, const Sampling& s, uint64_t index) {
  // Not a number has no place in an order; sorting it would be undefined.
  if (std::any_of(logits, logits + vocab, [](float x) { return std::isnan(x); })) {
    throw Error("E_NAN", "The model's logits are not numbers. The weights or the adapter are damaged, or training diverged.");
  }
  if (s.temperature <= 0) return int32_t(std::max_element(logits, logits + vocab) - logits);

  std::vector<int32_t> order(static_cast<size_t>(vocab));
  std::iota(order.begin(), order.end(), 0);
  // Ties by index, so that the choice does not depend on the sorting algorithm.
  const auto likelier = [&](int32_t a, int32_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); };
  if (s.top_k > 0 && s.top_k < vocab) {
    std::nth_element(order.begin(), order.begin() + s.top_k, order.end(), likelier);
    order.resize(size_t(s.top_k));
  }
  std::sort(order.begin(), order.end(), likelier);

  std::vector<double> p(order.size());
  double total = 0;
  for (size_t i = 0; i < order.size(); i++) {
    p[i] = std::exp(double(logits[order[i]] - logits[order[0]]) / double(s.temperature));
    total += p[i];
  }
  size_t kept = order.size();
  if (s.top_p < 1) {
    double sum = 0;
    for (kept = 0; kept < order.size() && sum < double(s.top_p) * total; kept++) sum += p[kept];
    kept = std::max<size_t>(kept, 1);
    total = sum > 0 ? sum : p[0];
  }
  double target = double(uniform01(philox(s.seed, kSamplingStream, index)[0])) * total;
  for (size_t i = 0; i < kept; i++) {
    target -= p[i];
    if (target < 0) return order[i];
  }
  return order[kept - 1];
}

}  // namespace lowrank
