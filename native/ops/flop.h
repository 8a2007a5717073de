// Multiply-adds of an operation's products, counted twice.
#pragma once
#include "ops/arguments.h"

namespace lowrank {

template <class Args>
double flop(const Args&) {
  return 0;
}
double flop(const LinearFwdArgs&);
double flop(const LinearBwdArgs&);
double flop(const AttentionFwdArgs&);
double flop(const AttentionBwdArgs&);
double flop(const HeadArgs&);
double flop(const DenseFwdArgs&);
double flop(const DenseBwdArgs&);

}  // namespace lowrank
