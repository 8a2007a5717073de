#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {
constexpr int64_t kBlock = 64 * 1024;  // elements of a task; sums are added block by block, in order
}

void CpuBackend::adamw(const AdamWArgs& a) {
  const double c1 = 1 - std::pow(double(a.beta1), double(a.step)), c2 = 1 - std::pow(double(a.beta2), double(a.step));
  const float decay = float(1 - double(a.lr) * double(a.weight_decay)), step_size = float(double(a.lr) / c1);
  const float root_correction = float(std::sqrt(c2));
  pool_.run((a.n + kBlock - 1) / kBlock, [&](int64_t task, int) {
    const int64_t i = task * kBlock, n = std::min(kBlock, a.n - i);
    rk_.adamw(a.p + i, a.m + i, a.v + i, a.g + i, n, a.grad_scale, decay, a.beta1, a.beta2, step_size, root_correction, a.eps);
  });
}

double CpuBackend::sum_squares(const float* x, int64_t n) {
  std::vector<double> parts(static_cast<size_t>((n + kBlock - 1) / kBlock));
  pool_.run(int64_t(parts.size()), [&](int64_t task, int) {
    parts[size_t(task)] = rk_.sum_squares(x + task * kBlock, std::min(kBlock, n - task * kBlock));
  });
  double sum = 0;
  for (const double p : parts) sum += p;
  return sum;
}

}  // namespace lowrank::cpu
