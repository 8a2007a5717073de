// The matrix product driver. Its right operand is a row-major source of any dtype. It is packed (and so decoded) per
// call into panels that all threads share. The left operand is read in place where its layout allows.
#pragma once
#include "base/tensor.h"
#include "base/thread_pool.h"
#include "cpu/coming_rows.h"
#include "cpu/instruction_sets.h"

namespace lowrank::cpu {

// The right operand: rows: contraction along its columns (y = x W^T); columns: along its rows (dx = dy W).
enum class Along { columns, rows };

struct Term {
  Mat x;        // (M, K) act
  Weight w;     // along columns: (N, K); along rows: (K, N)
  Along along;
};

// out (=|+=) alpha * (sum over the terms of x w) + bias.  Two terms make a linear with its adapter one product. The terms
// of several linears make the gradient of their input one product.
struct Product {
  static constexpr int kMostTerms = 6;
  Term terms[kMostTerms];
  int term_count = 1;
  int64_t n = 0;
  float alpha = 1;
  const float* bias = nullptr;  // (N)
  Mat out;                      // (M, N) act or f32
  bool accumulate = false;
  // As kernels.h has it: gate and other are (M, N) act, as out is then.
  Swiglu swiglu = Swiglu::none;
  Mat gate = {}, other = {};
  bool together = false;  // as LinearFwdArgs'
};

class Matmul {
 public:
  // Bytes of scratch for products with contractions up to k (all terms together) and act operands; up to `whole` where the output is not f32.
  static int64_t workspace_bytes(int64_t k, int64_t whole, int threads);

  // coming: what few rows' products ask for; null: nothing
  Matmul(ThreadPool& pool, const InstructionSet& isa, void* workspace, int64_t bytes, ComingRows* coming = nullptr)
      : pool_(pool), k_(*isa.kernels), r_(*isa.rows), work_(static_cast<char*>(workspace)), bytes_(bytes), coming_(coming) {}

  void operator()(const Product&) const;

 private:
  void pack(const Term&, int64_t k0, int64_t k, int64_t n0, int64_t columns, DType operands, char* panels, int64_t panel_bytes, void* scratch) const;
  void pack_f16(const Term&, int64_t k0, int64_t k, int64_t n0, int64_t columns, char* panels, int64_t panel_bytes, void* scratch) const;
  void few_rows(const Product&) const;
  struct Round;
  void pack(const Round&, int stretch, int64_t panel, int64_t panels, char* packed, char* scratch) const;
  void multiply(const Round&, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* packed, char* area) const;
  void multiply_fused(const Round&, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* packed, char* area) const;
  void multiply_block(const Round&, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* packed, char* area) const;
  void end_in_swiglu(const Product&, int64_t row, int64_t column, int64_t n) const;
  void blocked(const Product&) const;
  bool by_columns(const Round&) const;
  void by_rows(const Round&) const;

  ThreadPool& pool_;
  const Kernels& k_;
  const RowKernels& r_;
  char* work_;
  int64_t bytes_;
  ComingRows* coming_;
};

}  // namespace lowrank::cpu
