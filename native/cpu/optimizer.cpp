#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "cpu/cpu_backend.h"
#include "ops/end_clip.h"
#include "quant/moments.h"

namespace lowrank::cpu {

namespace {
constexpr int64_t kBlock = 64 * 1024;  // elements of a task; sums are added block by block, in order

AdamWFactors factors_of(const AdamWArgs& a, const AdamWPart& part) {
  const StepState& s = *a.state;
  const double t = double(s.applied), lr = double(s.learning_rate) * part.rate_factor, c1 = 1 - std::pow(a.beta1, t), c2 = 1 - std::pow(a.beta2, t);
  return {.grad_scale = s.grad_scale,
          .decay = float(1 - lr * double(part.weight_decay)),
          .rest1 = float(1 - a.beta1),
          .beta2 = float(a.beta2),
          .rest2 = float(1 - a.beta2),
          .step_size = float(lr / c1),
          .root_correction = float(std::sqrt(c2)),
          .eps = a.eps};
}
}  // namespace

void CpuBackend::do_adamw(const AdamWArgs& a) {
  if (!a.state->applies) return;
  for (const AdamWPart& part : std::span(a.parts, size_t(a.count))) {
    const AdamWFactors factors = factors_of(a, part);
    float* const p = a.p + part.begin;
    const float* const g = a.g + part.begin;
    const auto floats = [&](int64_t bytes) { return reinterpret_cast<float*>(a.moments + bytes); };
    if (!part.is_8bit) {
      float *const m = floats(part.m), *const v = floats(part.v);
      pool_.run((part.elements + kBlock - 1) / kBlock, [&](int64_t task, int) {
        const int64_t i = task * kBlock, n = std::min(kBlock, part.elements - i);
        rk_.adamw(p + i, m + i, v + i, g + i, n, factors);
      });
      continue;
    }
    uint8_t *const m_codes = reinterpret_cast<uint8_t*>(a.moments + part.m), *const v_codes = reinterpret_cast<uint8_t*>(a.moments + part.v);
    float *const m_max = floats(part.m_max), *const v_max = floats(part.v_max);
    constexpr int64_t kBlocks = 16;  // of a task
    const int64_t blocks = (part.elements + kMomentBlock - 1) / kMomentBlock;
    pool_.run((blocks + kBlocks - 1) / kBlocks, [&](int64_t task, int) {
      alignas(64) float m[kMomentBlock], v[kMomentBlock];
      for (int64_t b = task * kBlocks; b < std::min(blocks, (task + 1) * kBlocks); b++) {
        const int64_t i = b * kMomentBlock, n = std::min(kMomentBlock, part.elements - i);
        dequantize_moment(Moment::first, m_codes + i, m_max[b], n, m);
        dequantize_moment(Moment::second, v_codes + i, v_max[b], n, v);
        rk_.adamw(p + i, m, v, g + i, n, factors);
        quantize_moment(Moment::first, m, n, m_codes + i, m_max + b);
        quantize_moment(Moment::second, v, n, v_codes + i, v_max + b);
      }
    });
  }
}

void CpuBackend::do_clip(const ClipArgs& a) {
  std::vector<double> parts(static_cast<size_t>((a.n + kBlock - 1) / kBlock));
  pool_.run(int64_t(parts.size()), [&](int64_t task, int) {
    parts[size_t(task)] = rk_.sum_squares(a.g + task * kBlock, 0.f, std::min(kBlock, a.n - task * kBlock));
  });
  double sum = 0;
  for (const double p : parts) sum += p;
  end_clip(a, sum);
}

}  // namespace lowrank::cpu
