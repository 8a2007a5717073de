// Products of codes of 8 bits with an output pass: of LLM.int8's forward pass and of the 8-bit backward pass.
#pragma once
#include "cpu/matmul.h"
#include "cpu/panel_ops.h"

namespace lowrank::cpu {

// Rows that are codes times a factor each.
struct CodedRows {
  char* codes = nullptr;  // as Int8Kernels has them
  int64_t bytes = 0;      // of a row
  float* factors = nullptr;  // (M)
};

// Codes times a weight's codes: along columns, sum[n] times the weight's maximum of row n; along rows, whose maxima the codes have been
// made with, as it is.
struct CodeTerm {
  CodedRows rows;
  Weight w;  // i8
  Along along;

  int64_t length() const { return along == Along::columns ? w.cols : w.rows; }
};

// A term in floats beside them.
struct FloatTerm {
  Mat x;
  Weight w;
  Along along;
  // Where given, only these columns of x, and of w (along columns).
  const int32_t* columns = nullptr;
  int64_t count = 0;

  int64_t length() const { return columns ? count : x.cols; }
};

// f(where it begins, its first column, its length) for each run of neighbours among columns that ascend.
template <class F>
void for_runs(const int32_t* columns, int64_t count, F&& f) {
  for (int64_t begin = 0, end; begin < count; begin = end) {
    for (end = begin + 1; end < count && columns[end] == columns[end - 1] + 1;) end++;
    f(begin, columns[begin], end - begin);
  }
}

// out (=|+=) sum of the terms + bias, then SwiGLU as kernels.h has it.
struct Int8Product {
  static constexpr int kMostTerms = 3;
  CodeTerm codes[kMostTerms];
  int code_count = 0;
  FloatTerm floats[kMostTerms + 1];
  int float_count = 0;
  const float* bias = nullptr;
  Mat out;
  bool accumulate = false;
  Swiglu swiglu = Swiglu::none;
  Mat gate = {}, other = {};

  void add(const CodeTerm& t) { codes[code_count++] = t; }
  void add(const FloatTerm& t) { floats[float_count++] = t; }
};

class Int8Matmul {
 public:
  // Bytes from a row of codes to the next, off strides at which rows push one another out of L1.
  static int64_t row_bytes(int64_t columns, const Int8Kernels&);
  // Scratch for products of up to `linears` terms with `features` columns and rows and adapters of this rank.
  static int64_t workspace_bytes(int64_t features, int64_t rank, int linears, int threads, const InstructionSet&, DType act);

  // rank: as workspace_bytes' was given it.
  Int8Matmul(ThreadPool& pool, const InstructionSet& isa, DType act, int64_t rank, char* work, int64_t bytes)
      : pool_(pool), int8_(int8_kernels(isa)), k_(*isa.kernels), r_(*isa.rows), ops_(isa, act), rank_(rank), work_(work), bytes_(bytes) {}

  void operator()(const Int8Product&) const;

 private:
  struct Panels;
  void pack(const Int8Product&, const Panels&, int64_t number, char* group, int at, int thread) const;
  void multiply(const Int8Product&, const Panels&, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* group, int thread) const;
  float* sum_codes(const Int8Product&, const Panels&, int64_t m0, int64_t rows, int64_t n0, int64_t n, int64_t panels, const char* packed, char* area) const;

  ThreadPool& pool_;
  const Int8Kernels& int8_;
  const Kernels& k_;
  const RowKernels& r_;
  const PanelOps ops_;
  int64_t rank_;
  char* work_;
  int64_t bytes_;
};

}  // namespace lowrank::cpu
