// Small products over panels for one activation dtype: bf16 dot products where the instruction set has them, else f32.
// Left operands are buffers of that element type; contractions of bf16 ones are padded with zeros to whole panel steps.
#pragma once
#include <algorithm>
#include <cstring>

#include "base/tensor.h"
#include "cpu/instruction_sets.h"

namespace lowrank::cpu {

// Rows of a product, ld elements apart.
struct LeftOperand {
  const void* data;
  int64_t ld;
};

class PanelOps {
 public:
  PanelOps(const InstructionSet& isa, DType act) : k_(*isa.kernels), r_(*isa.rows), dots_(act == DType::bf16 && isa.kernels->gemm_bf16) {}

  int64_t bytes() const { return dots_ ? 2 : 4; }                                  // of a left operand's element
  int64_t depth(int64_t k) const { return dots_ ? round_up(k, kPanelStep) : k; }  // row length of a left operand
  int64_t panel_bytes(int64_t k) const { return dots_ ? panel_bytes_bf16(k) : panel_bytes_f32(k); }

  void begin() const {
    if (dots_ && k_.begin) k_.begin();
  }
  void end() const {
    if (dots_ && k_.end) k_.end();
  }

  // acc (rows, 32) (=|+=) a (rows, k) panel; a's rows are lda >= depth(k) elements apart.
  void gemm(const void* a, int64_t lda, const void* panel, int64_t k, int64_t rows, bool accumulate, float* acc, int64_t ldacc) const {
    if (dots_) k_.gemm_bf16(static_cast<const bf16_t*>(a), lda, static_cast<const bf16_t*>(panel), 0, 1, depth(k), rows, accumulate, acc, ldacc);
    else k_.gemm_f32(static_cast<const float*>(a), lda, static_cast<const float*>(panel), k, rows, accumulate, acc, ldacc);
  }

  bool dots() const { return dots_; }

  // The same for `panels` panels of the same contraction side by side, which lie `stride` bytes apart: acc (rows, 32 panels).
  void gemm_panels(const void* a, int64_t lda, const void* first, int64_t stride, int64_t panels, int64_t k, int64_t rows, bool accumulate, float* acc,
                   int64_t ldacc) const {
    if (dots_) {
      k_.gemm_bf16(static_cast<const bf16_t*>(a), lda, static_cast<const bf16_t*>(first), stride / 2, panels, depth(k), rows, accumulate, acc, ldacc);
      return;
    }
    for (int64_t j = 0; j < panels; j++) gemm(a, lda, static_cast<const char*>(first) + j * stride, k, rows, accumulate, acc + j * kPanelCols, ldacc);
  }

  // The same for panels that follow one another.
  void gemm_panels(const void* a, int64_t lda, const void* first, int64_t panels, int64_t k, int64_t rows, bool accumulate, float* acc,
                   int64_t ldacc) const {
    gemm_panels(a, lda, first, panel_bytes(k), panels, k, rows, accumulate, acc, ldacc);
  }

  // x (rows, cols) act as a left operand: in place where it can be one, else a copy at dst (rows, depth(cols)).
  LeftOperand left(const Mat& x, void* dst) const {
    const int64_t ld = depth(x.cols);
    if (dots_ && ld == x.cols && !rows_collide(x.ld)) return {x.data, x.ld};
    for (int64_t r = 0; r < x.rows; r++) {
      char* const to = static_cast<char*>(dst) + r * ld * bytes();
      if (!dots_) {
        r_.widen(x.row(r), x.dtype, x.cols, reinterpret_cast<float*>(to));
        continue;
      }
      std::memcpy(to, x.row(r), size_t(x.cols * 2));
      std::memset(to + x.cols * 2, 0, size_t((ld - x.cols) * 2));
    }
    return {dst, ld};
  }

  // dst (cols, depth(rows)) = x (rows, cols) act, transposed
  void left_transposed(const Mat& x, void* dst) const {
    const int64_t ld = depth(x.rows);
    if (dots_) {
      uint16_t* const to = static_cast<uint16_t*>(dst);
      k_.transpose_16(reinterpret_cast<const uint16_t*>(x.row(0)), x.ld, x.rows, x.cols, to, ld);
      for (int64_t c = 0; c < x.cols && x.rows < ld; c++) std::memset(to + c * ld + x.rows, 0, size_t((ld - x.rows) * 2));
      return;
    }
    for (int64_t c = 0; c < x.cols; c++) {
      for (int64_t r = 0; r < ld; r++) {
        static_cast<float*>(dst)[c * ld + r] = x.get(r, c);
      }
    }
  }

  // Panels of 32 rows of x each, contraction along its columns.
  void pack_along_columns(const Mat& x, void* panels) const {
    for (int64_t r = 0; r < x.rows; r += kPanelCols) {
      char* const out = static_cast<char*>(panels) + r / kPanelCols * panel_bytes(x.cols);
      const int64_t n = std::min(kPanelCols, x.rows - r);
      if (dots_) k_.pack_fwd_bf16(x.row(r), x.dtype, x.ld, x.cols, n, reinterpret_cast<bf16_t*>(out));
      else k_.pack_fwd_f32(x.row(r), x.dtype, x.ld, x.cols, n, reinterpret_cast<float*>(out));
    }
  }

  // Panels of 32 columns of x each, contraction along its rows.
  void pack_along_rows(const Mat& x, void* panels) const {
    const int64_t stride = panel_bytes(x.rows) / bytes();
    if (dots_) k_.pack_bwd_bf16(x.data, x.dtype, x.ld, x.rows, x.cols, static_cast<bf16_t*>(panels), stride);
    else k_.pack_bwd_f32(x.data, x.dtype, x.ld, x.rows, x.cols, static_cast<float*>(panels), stride);
  }

 private:
  const Kernels& k_;
  const RowKernels& r_;
  bool dots_;
};

}  // namespace lowrank::cpu
