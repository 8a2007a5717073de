// The CPU backend: one class, its operations in one file each (linear.cpp, head.cpp, attention.cpp, rows.cpp, optimizer.cpp).
#pragma once
#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "cpu/instruction_sets.h"
#include "cpu/int8_product.h"
#include "cpu/matmul.h"
#include "ops/backend.h"

namespace lowrank::cpu {

class CpuBackend final : public HostBackend {
 public:
  CpuBackend(int threads, const InstructionSet& isa) : pool_(threads), isa_(isa), k_(*isa.kernels), rk_(*isa.rows) {}
  std::string name() const override { return std::string("cpu/") + isa_.name; }

  // Codes that outlive an operation, and the largest of the operations' own needs: they run one at a time and share the memory.
  static int64_t workspace_bytes(const OpLimits& l, int threads, const InstructionSet& isa) {
    return code_bytes(l, threads, isa) + std::max({linear_workspace(l, threads, isa), head_workspace(l, threads), attention_workspace(l, threads, isa)});
  }
  int64_t workspace_bytes(const OpLimits& l) const override { return workspace_bytes(l, pool_.threads(), isa_); }
  void will_read(std::span<const Mat> rows, int64_t beside) override;

 private:
  void do_set_workspace(const OpLimits& limits, void* memory) override {
    limits_ = limits;
    codes_ = static_cast<char*>(memory);
    work_ = codes_ + code_bytes(limits, pool_.threads(), isa_);
    rounded_ = {};
    coming_.set({}, 0, 0);
  }
#define LOWRANK_OP(operation, Args) void do_##operation(const Args&) override;
#include "ops/operations.inc"

  static int64_t linear_workspace(const OpLimits&, int threads, const InstructionSet&);     // linear.cpp
  static int64_t head_workspace(const OpLimits&, int threads);                              // head.cpp
  static int64_t attention_workspace(const OpLimits&, int threads, const InstructionSet&);  // attention.cpp
  void do_attention_fwd_of_each(std::span<const AttentionFwdArgs>) override;
  int64_t heads_of_run(const AttentionShape&, int64_t sequences) const;  // attention_query.cpp
  void few_queries(const AttentionFwdArgs&, int64_t sequence, int64_t first, int64_t count, float* scores);
  // Rows of A that read the same: dropout(x), or x
  struct Adapted {
    const LinearBwdArgs* linear;
    Mat du;
    int64_t first;
    bool masked;
  };
  // linear_int8.cpp
  struct CodeRoom;
  static int64_t code_bytes(const OpLimits&, int threads, const InstructionSet&);
  static int64_t int8_workspace(const OpLimits&, int threads, const InstructionSet&);
  void round_rows(const Mat& x, float threshold);
  void int8_fwd(const LinearFwdArgs&, char* work, int64_t bytes);
  CodedRows round_gradient(const LinearBwdArgs&, int linear);
  void int8_bwd(const LinearBwdArgs&, std::span<const Adapted>, char* work, int64_t bytes);
  void adapter_bwd(const LinearBwdArgs&, const Matmul&, const Mat& du);
  void add_masked(const LinearBwdArgs&, const Adapted&, const Matmul&);
  void gradients_of_a(std::span<const Adapted>, const Matmul&);
  void head_gradient(const Mat& x, const Mat& dz, float* dw);  // head.cpp
  void transpose_thin(const Mat& x, const Mat& dst);
  void apply_dropout(const Mat& x, const Dropout&, const Mat& y);
  template <class F>
  void for_rows(int64_t rows, int64_t cols, F&& f);

  ThreadPool pool_;
  InstructionSet isa_;
  const Kernels& k_;
  const RowKernels& rk_;
  OpLimits limits_;  // given to set_workspace: they fix where each part of the workspace lies
  char *codes_ = nullptr, *work_ = nullptr;
  ComingRows coming_;
  // The input that was rounded last.
  struct Rounded {
    const void* x = nullptr;
    int64_t rows = 0, cols = 0;
    float threshold = 0;
    CodedRows codes;
    const int32_t* columns = nullptr;
    int64_t outliers = 0;
  } rounded_;
};

}  // namespace lowrank::cpu
