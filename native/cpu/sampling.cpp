// The next token from logits.
#include "ops/sampling.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {

// Floats as integers of the same order, over which loops become vectors; -0 comes before 0. Not a number lies past the infinities.
int32_t ordered(int32_t bits) { return bits ^ (bits >> 31 & 0x7fffffff); }

int32_t token_of(const float* logits, int64_t vocab, const SampleRow& row) {
  int32_t most = std::numeric_limits<int32_t>::min(), least = std::numeric_limits<int32_t>::max();
  for (int64_t i = 0; i < vocab; i++) {
    const int32_t x = ordered(std::bit_cast<int32_t>(logits[i]));
    most = x > most ? x : most;
    least = x < least ? x : least;
  }
  // Not a number has no place in an order; sorting it would be undefined. Infinity minus infinity is none either.
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const int32_t infinity = std::bit_cast<int32_t>(kInfinity);
  if (most >= infinity || least < ordered(std::bit_cast<int32_t>(-kInfinity))) return kNoToken;
  const float top = std::bit_cast<float>(ordered(most));
  if (top == -kInfinity) return kNoToken;
  const int32_t first = int32_t(std::find(logits, logits + vocab, top) - logits);
  if (row.temperature <= 0) return first;
  std::vector<uint64_t> weights(static_cast<size_t>(vocab));
  for (int64_t i = 0; i < vocab; i++) weights[size_t(i)] = sample_weight(logits[i], top, row.temperature);

  // Only the tokens that are asked for are sorted: a nucleus is small beside the vocabulary.
  std::vector<int32_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  size_t sorted = 0;
  const auto sort_first = [&](size_t n) {
    const auto likelier = [&](int32_t x, int32_t y) { return logits[x] > logits[y] || (logits[x] == logits[y] && x < y); };
    if (n < order.size()) std::nth_element(order.begin() + int64_t(sorted), order.begin() + int64_t(n), order.end(), likelier);
    std::sort(order.begin() + int64_t(sorted), order.begin() + int64_t(n), likelier);
    sorted = n;
  };
  size_t kept = weights.size();
  if (row.top_k > 0 && size_t(row.top_k) < kept) {
    kept = size_t(row.top_k);
    sort_first(kept);
  }
  // The place of the first token at which the sum of the weights reaches `wanted`, and that sum.
  const auto reach = [&](uint64_t wanted) {
    uint64_t sum = 0;
    for (size_t n = 0;; n++) {
      if (n == sorted) sort_first(std::min(kept, std::max<size_t>(64, 4 * sorted)));
      sum += weights[size_t(order[n])];
      if (sum >= wanted) return std::pair(n, sum);
    }
  };
  uint64_t total = 0;
  for (size_t i = 0; i < kept; i++) total += weights[size_t(order[i])];
  if (row.top_p < 1) total = reach(nucleus_weight(row.top_p, total)).second;
  return order[reach(drawn_weight(row.random, total) + 1).first];
}

}  // namespace

void CpuBackend::do_sample(const SampleArgs& a) {
  pool_.run(a.logits.rows, [&](int64_t n, int) { a.tokens[n] = token_of(reinterpret_cast<const float*>(a.logits.row(n)), a.logits.cols, a.rows[n]); });
}

}  // namespace lowrank::cpu
