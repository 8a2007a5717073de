// The backends under test: every instruction set that runs here, really or emulated, with some thread counts.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "slots.h"

namespace lowrank::test {

// The sets whose name contains `filter` (such as "amx" or "emulated"); all where it is empty. Quick: of these the ones that sanitizers see
// (CMakeLists.txt).
std::vector<const cpu::InstructionSet*> real_sets(const std::string& filter, bool quick = false);
std::vector<const cpu::InstructionSet*> emulated_sets(const std::string& filter, bool quick = false);

class Runner {
 public:
  Runner(const cpu::InstructionSet& isa, int threads) : isa_(isa), threads_(threads), backend_(threads, isa) {}

  const cpu::InstructionSet& isa() const { return isa_; }
  int threads() const { return threads_; }
  std::string label() const {
    return std::string(isa_.name) + ", " + std::to_string(threads_) + (threads_ == 1 ? " thread" : " threads");
  }
  // What linears multiply in.
  DType operands(DType act) const {
    if (act == DType::bf16 && isa_.kernels->gemm_bf16) return DType::bf16;
    return act != DType::f32 && isa_.kernels->gemm_f16 ? DType::f16 : DType::f32;
  }

  // The backend with a workspace that just suffices for these bounds. It is full of NaN where `fresh`; otherwise it holds
  // the leftovers of the operation before.
  Backend& prepare(const OpLimits& limits, bool fresh);
  std::string workspace_damage() const { return workspace_.damage(); }

 private:
  const cpu::InstructionSet& isa_;
  int threads_;
  cpu::CpuBackend backend_;
  Guarded workspace_;
  int64_t capacity_ = 0;
};

}  // namespace lowrank::test
