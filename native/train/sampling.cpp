#include "train/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace lowrank {

namespace {
constexpr uint64_t kSamplingStream = uint64_t(1) << 61;
}

int32_t sample(const float* logits, int64_t vocab, const Sampling& s, uint64_t index) {
  // Not a number has no place in an order; sorting it would be undefined. Infinity minus infinity is none either.
  if (std::any_of(logits, logits + vocab, [](float x) { return std::isnan(x) || x == std::numeric_limits<float>::infinity(); })) {
    throw Error("E_NAN", "The model's logits are not numbers. The weights or the adapter are damaged, or training diverged.");
  }
  if (s.temperature <= 0) return int32_t(std::max_element(logits, logits + vocab) - logits);

  const float top = *std::max_element(logits, logits + vocab);
  std::vector<double> p(static_cast<size_t>(vocab));
  for (int64_t i = 0; i < vocab; i++) p[size_t(i)] = std::exp(double(logits[i] - top) / double(s.temperature));

  // Most likely first; ties by index, so that the choice does not depend on the sorting algorithm. Only the number that is
  // asked for is sorted: a nucleus is small beside the vocabulary.
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  size_t sorted = 0;
  const auto sort_first = [&](size_t n) {
    const auto likelier = [&](int32_t x, int32_t y) { return logits[x] > logits[y] || (logits[x] == logits[y] && x < y); };
    if (n < order.size()) std::nth_element(order.begin() + int64_t(sorted), order.begin() + int64_t(n), order.end(), likelier);
    std::sort(order.begin() + int64_t(sorted), order.begin() + int64_t(n), likelier);
    sorted = n;
  };
  size_t kept = p.size();
  if (s.top_k > 0 && size_t(s.top_k) < kept) {
    kept = size_t(s.top_k);
    sort_first(kept);
  }
  double total = 0;
  for (size_t i = 0; i < kept; i++) total += p[size_t(order[i])];
  if (s.top_p < 1) {
    double sum = 0;
    size_t nucleus = 0;
    while (nucleus < kept && sum < double(s.top_p) * total) {
      if (nucleus == sorted) sort_first(std::min(kept, std::max<size_t>(64, 4 * sorted)));
      sum += p[size_t(order[nucleus++])];
    }
    if (nucleus == 0) {  // top_p = 0: the most likely one
      sort_first(std::max<size_t>(sorted, 1));
      sum = p[size_t(order[0])];
      nucleus = 1;
    }
    kept = nucleus;
    total = sum;
  }
  double target = double(uniform01(philox(s.seed, kSamplingStream, index)[0])) * total;
  for (size_t i = 0; i < kept; i++) {
    target -= p[size_t(order[i])];
    if (target < 0) return order[i];
  }
  return order[kept - 1];
}

}  // namespace lowrank
