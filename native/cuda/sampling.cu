// The next token from logits, without sorting them: a search of digits finds where the sum over the tokens, likelier ones first, reaches a number.
#include "ops/sampling.h"

#include "cuda/kernels.h"
#include "cuda/wide.h"

namespace lowrank::cuda::kernels {

namespace {

constexpr int kSamplers = 512;  // threads
constexpr int kDigitBits = 4, kDigits = 1 << kDigitBits;
static_assert(kDigits == kSamplers / kWarp);  // a warp adds up the sums of a digit
constexpr int kSumBytes = kDigits * kSamplers * int(sizeof(uint64_t));

// Larger for larger numbers; both zeros are one.
__device__ uint32_t key_of(float logit) {
  const uint32_t bits = std::bit_cast<uint32_t>(logit + 0.f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ float logit_of(uint32_t key) { return std::bit_cast<float>(key >> 31 ? key & 0x7fffffffu : ~key); }

constexpr uint64_t kNotNumbers = ~uint64_t(0);

// tops[n] = the key of row n's most likely token, before the complement of its number; or kNotNumbers.
__global__ void __launch_bounds__(kSamplers, 1) sample_top_kernel(SampleArgs a, uint64_t* tops) {
  LOWRANK_SHARED(uint64_t, parts, kWarp);
  const int64_t n = blockIdx.x;
  uint64_t top = 0;
  for (int64_t i = threadIdx.x; i < a.logits.cols; i += blockDim.x) {
    const float logit = a.logits.get(n, i);
    const uint64_t place = uint64_t(key_of(logit)) << 32 | uint32_t(~uint32_t(i));
    top = larger(top, isnan(logit) || logit == INFINITY ? kNotNumbers : place);
  }
  top = block_max(top, parts);
  if (uint32_t(top >> 32) == key_of(-INFINITY)) top = kNotNumbers;
  if (threadIdx.x > 0) return;
  tops[n] = top;
  if (top == kNotNumbers) a.tokens[n] = kNoToken;
  else if (a.rows[n].temperature <= 0) a.tokens[n] = int32_t(~uint32_t(top));
}

__device__ bool draws(const SampleArgs& a, const uint64_t* tops, int64_t n) { return tops[n] != kNotNumbers && a.rows[n].temperature > 0; }
__device__ float top_of(const uint64_t* tops, int64_t n) { return logit_of(uint32_t(tops[n] >> 32)); }

__global__ void __launch_bounds__(kThreads, 1) sample_weights_kernel(SampleArgs a, const uint64_t* tops, uint64_t* weights) {
  const int64_t n = blockIdx.x, vocab = a.logits.cols;
  if (!draws(a, tops, n)) return;
  for (int64_t i = first_column(); i < vocab; i += column_step()) {
    weights[n * vocab + i] = sample_weight(a.logits.get(n, i), top_of(tops, n), a.rows[n].temperature);
  }
}

struct Row {
  const float* logits;
  const uint64_t* weights;
  int64_t vocab;
};
// Tokens of one key, which are equally likely, and the part of a sum that the tokens before them leave.
struct Reached {
  uint32_t key;
  uint64_t rest;
};

// Where the sum of the weights, or of ones, reaches `wanted`. sums: (kDigits, kSamplers), a column a thread, so that none is shared.
template <bool kCounts>
__device__ Reached reach(const Row& row, uint64_t wanted, uint64_t* sums, uint64_t* totals) {
  const int thread = int(threadIdx.x), warp = thread / int(kWarp);
  uint32_t key = 0, known = 0;
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    for (int digit = 0; digit < kDigits; digit++) sums[digit * kSamplers + thread] = 0;
    for (int64_t i = thread; i < row.vocab; i += kSamplers) {
      const uint32_t its = key_of(row.logits[i]);
      if ((its & known) == key) sums[int(its >> shift & (kDigits - 1)) * kSamplers + thread] += kCounts ? 1 : row.weights[i];
    }
    __syncthreads();
    uint64_t total = 0;
    for (int i = thread % int(kWarp); i < kSamplers; i += int(kWarp)) total += sums[warp * kSamplers + i];
    for (unsigned other = kWarp / 2; other > 0; other /= 2) total += __shfl_xor_sync(kWholeWarp, total, other);
    if (thread % int(kWarp) == 0) totals[warp] = total;
    __syncthreads();
    int digit = kDigits - 1;
    for (; digit > 0 && totals[digit] < wanted; digit--) wanted -= totals[digit];
    key |= uint32_t(digit) << shift;
    known |= uint32_t(kDigits - 1) << shift;
  }
  return {key, wanted};
}

// The number of the nth token of a key, found by one thread. counts: (kSamplers)
__device__ void find(const Row& row, uint32_t key, uint64_t nth, uint64_t* counts, int32_t* token) {
  const int64_t part = (row.vocab + kSamplers - 1) / kSamplers, first = int64_t(threadIdx.x) * part;
  const int64_t end = first + part < row.vocab ? first + part : row.vocab;
  uint64_t own = 0;
  for (int64_t i = first; i < end; i++) own += key_of(row.logits[i]) == key;
  counts[threadIdx.x] = own;
  __syncthreads();
  if (own == 0) return;
  for (unsigned i = 0; i < threadIdx.x; i++) {
    if (counts[i] >= nth) return;
    nth -= counts[i];
  }
  if (nth > own) return;
  for (int64_t i = first; i < end; i++) {
    if (key_of(row.logits[i]) == key && --nth == 0) *token = int32_t(i);
  }
}

__global__ void __launch_bounds__(kSamplers, 1) sample_kernel(SampleArgs a, const uint64_t* tops, const uint64_t* weights) {
  LOWRANK_DYNAMIC_SHARED(uint64_t, sums);
  LOWRANK_SHARED(uint64_t, totals, kWarp);
  const int64_t n = blockIdx.x, vocab = a.logits.cols;
  if (!draws(a, tops, n)) return;
  const SampleRow& filter = a.rows[n];
  const Row row = {reinterpret_cast<const float*>(a.logits.row(n)), weights + n * vocab, vocab};
  const auto weight_of = [&](uint32_t key) { return sample_weight(logit_of(key), top_of(tops, n), filter.temperature); };
  // Tokens of a key that are needed for the rest of a sum of weights.
  const auto needed = [&](const Reached& r) { return (r.rest + weight_of(r.key) - 1) / weight_of(r.key); };
  uint64_t total = 0;
  if (filter.top_k > 0 && filter.top_k < vocab) {
    const Reached last = reach<true>(row, uint64_t(filter.top_k), sums, totals);
    for (int64_t i = threadIdx.x; i < vocab; i += kSamplers) total += key_of(row.logits[i]) > last.key ? row.weights[i] : 0;
    __syncthreads();
    total = block_sum(total, totals) + last.rest * weight_of(last.key);
  } else {
    for (int64_t i = threadIdx.x; i < vocab; i += kSamplers) total += row.weights[i];
    total = block_sum(total, totals);
  }
  if (filter.top_p < 1) {
    const uint64_t wanted = nucleus_weight(filter.top_p, total);
    const Reached last = reach<false>(row, wanted, sums, totals);
    total = wanted - last.rest + needed(last) * weight_of(last.key);
  }
  const Reached drawn = reach<false>(row, drawn_weight(filter.random, total) + 1, sums, totals);
  find(row, drawn.key, needed(drawn), sums, a.tokens + n);
}

}  // namespace

void sample(const SampleArgs& a, uint64_t* tops, uint64_t* weights, Stream stream) {
  LOWRANK_LAUNCH(sample_top_kernel, (unsigned(a.logits.rows)), kSamplers, stream, a, tops);
  LOWRANK_LAUNCH_ELEMENTS(sample_weights_kernel, a.logits, stream, a, tops, weights);
  LOWRANK_LAUNCH_DYNAMIC(sample_kernel, (unsigned(a.logits.rows)), kSamplers, kSumBytes, stream, a, tops, weights);
}

}  // namespace lowrank::cuda::kernels
