// The CPU backend: one class, its operations in one file each (linear.cpp, head.cpp, attention.cpp, rows.cpp, optimizer.cpp).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "cpu/kernels.h"
#include "cpu/row_kernels.h"
#include "ops/backend.h"

namespace lowrank::cpu {

// The kernels of one instruction set, real or (in tests) emulated.
struct InstructionSet {
  const char* name;
  const Kernels* kernels;
  const RowKernels* rows;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, const InstructionSet& isa) : pool_(threads), isa_(isa), k_(*isa.kernels), rk_(*isa.rows) {}
  std::string name() const override { return std::string("cpu/") + isa_.name; }

  int64_t workspace_bytes(const OpLimits&) const override;  // the largest of the operations' own, see workspace.cpp
  void set_workspace(void* memory, int64_t bytes) override {
    work_ = static_cast<char*>(memory);
    work_bytes_ = bytes;
  }

  void embedding_fwd(const EmbeddingArgs&) override;
  void norm_fwd(const NormFwdArgs&) override;
  void norm_apply(const NormApplyArgs&) override;
  void norm_bwd(const NormBwdArgs&) override;
  void linear_fwd(const LinearFwdArgs&) override;
  void linear_bwd(const LinearBwdArgs&) override;
  void rope(const RopeArgs&) override;
  void attention_fwd(const AttentionFwdArgs&) override;
  void attention_bwd(const AttentionBwdArgs&) override;
  void swiglu_fwd(const SwigluFwdArgs&) override;
  void swiglu_bwd(const SwigluBwdArgs&) override;
  void head(const HeadArgs&) override;
  void cast(const Mat& src, const Mat& dst) override;
  void gather_rows(const Mat& src, const int32_t* rows, const Mat& dst) override;
  void scatter_rows(const Mat& src, const int32_t* rows, const Mat& dst) override;
  void adamw(const AdamWArgs&) override;
  double sum_squares(const float* x, int64_t n) override;

 private:
  // Scratch needs of the operations that have one; operations run one at a time and share the memory.
  int64_t linear_workspace(const OpLimits&) const;     // linear.cpp
  int64_t head_workspace(const OpLimits&) const;       // head.cpp
  int64_t attention_workspace(const OpLimits&) const;  // attention.cpp

  ThreadPool pool_;
  InstructionSet isa_;
  const Kernels& k_;
  const RowKernels& rk_;
  char* work_ = nullptr;
  int64_t work_bytes_ = 0;
};

}  // namespace lowrank::cpu
