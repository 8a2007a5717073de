// The error of products in chains of f16 (native/cpu/gemm_f16.inc), from the operands of one output.
#pragma once
#include <algorithm>
#include <cmath>

#include "bounds.h"

namespace lowrank::test {

// A chain is 16 products: those of even or of odd place among 32 that follow one another. Step j rounds the partial sum, so that it is off by
// at most u P_j, P_j the magnitudes so far. As in sum_error these roundings are as good as independent: their sum exceeds
// lambda u sqrt(sum P_j^2) over all steps of all chains with a probability below 2 exp(-lambda^2 / 2) (Azuma's inequality); lambda = 6. P_j
// holds the roundings before it, too: 16 of them are less than a hundredth.
// Operands are scaled so that the largest of a row lies in [2^5, 2^6) and of a column in [2^4, 2^5). Below 2^-14 f16 rounds at 2^-24, so that
// each operand may be off by 2^-30 of the largest (a row's) or 2^-29 (a column's), and each step by 2^-34 of both.
class Chains {
 public:
  void add(double a, double b) {
    double& partial = partial_[count_ % 2];
    partial += std::fabs(a * b);
    squares_ += partial * partial;
    if (++count_ % 32 == 0) partial_[0] = partial_[1] = 0;
    most_a_ = std::max(most_a_, std::fabs(a));
    most_b_ = std::max(most_b_, std::fabs(b));
    sum_a_ += std::fabs(a);
    sum_b_ += std::fabs(b);
  }
  double error() const {
    return 6 * 1.01 * kF16 * std::sqrt(squares_) + 0x1p-30 * most_a_ * sum_b_ + 0x1p-29 * sum_a_ * most_b_ + 0x1p-34 * double(count_) * most_a_ * most_b_;
  }

 private:
  double partial_[2] = {0, 0}, squares_ = 0, most_a_ = 0, most_b_ = 0, sum_a_ = 0, sum_b_ = 0;
  int64_t count_ = 0;
};

}  // namespace lowrank::test
