// The table of compute kernels that one instruction set provides. The code above it (the matmul driver, attention,
// the operations) is written once. A table is filled per instruction set in its own translation unit, compiled for
// that set. These units share no inline code with other units.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "quant/weight.h"

namespace lowrank::cpu {

// A panel is 32 output columns of the right operand of a product, over a contraction of k.
//   f32 panel:  [k][32] f32
//   bf16 panel: [ceil(k/32)][2 halves of 16 columns][16 pairs of k][16 columns][2] bf16: 2 KB for each step of 32 k,
//               zero where k or the columns run out. AMX tiles and bf16 dot products read the same panel.
//   f16 panel:  32 f32, what undoes the scale of each column; then the bf16 panel's layout with scaled f16
//   int8 panel: [ceil(k/64)][2 halves of 16 columns][16 groups of four k][16 columns][4] int8: 2 KB for each step of 64 k, zero as
//               well. All products of codes read the same panel.
constexpr int64_t kPanelCols = 32;
constexpr int64_t kPanelStep = 32;
constexpr int64_t kCodeStep = 64;
constexpr int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
constexpr int64_t panel_bytes_f32(int64_t k) { return k * kPanelCols * 4; }
constexpr int64_t panel_bytes_int8(int64_t k) { return round_up(k, kCodeStep) * kPanelCols; }
constexpr int64_t panel_bytes_bf16(int64_t k) { return round_up(k, kPanelStep) * kPanelCols * 2; }
constexpr int64_t kF16PanelScales = kPanelCols * 4 / 2;  // in elements of the panel
constexpr int64_t panel_bytes_f16(int64_t k) { return kF16PanelScales * 2 + panel_bytes_bf16(k); }

// Whether bf16 rows ld elements apart share few sets of the first cache: as left operands they push one another out.
constexpr bool rows_collide(int64_t ld) { return ld % 1024 == 0; }
// The least row length for `columns` elements at which they don't.
constexpr int64_t apart(int64_t columns) { return columns + (rows_collide(columns) ? kPanelStep : 0); }

// Longest stretch of a contraction: 32 rows of it stay in the first cache while the panels pass.
constexpr int64_t kMaxStretch = 768;
// Row length of a stretch's scaled rows: an odd number of lines, so that rows don't collide.
constexpr int64_t scaled_row(int64_t k) { return (round_up(k, kPanelStep) / kPanelStep | 1) * kPanelStep; }
constexpr int kMostStretches = 64;  // of a product whose rows are copied or scaled: one of at most longest_product
constexpr int64_t kProductScratch = 160 << 10;
constexpr int64_t kLongestDots = 2048;

// A stretch of a product's contraction, at most kMaxStretch long: rows of a beside panels of the right operand.
struct HalfStretch {
  const uint16_t* a;  // bf16 or f16, as the panel
  int64_t lda;
  const uint16_t* panel;
  int64_t k;
};

// The function of a product of act as it is stored.
//   forward:  other = silu(gate) * out
//   backward: out is the gradient of silu(gate) * other; gate and other become their own gradients. out may or may not be written.
enum class Swiglu { none, forward, backward };

// Where a product goes: out (rows, columns) (=|+=) alpha * sum + bias.
struct ProductOut {
  void* data;
  int64_t ld;  // elements
  DType dtype;
  float alpha;
  const float* bias;  // (columns) or null
  bool accumulate;
  int64_t columns;
  Swiglu swiglu = Swiglu::none;  // not of f32; then:
  void *gate = nullptr, *other = nullptr;
  int64_t gate_ld = 0, other_ld = 0;
};

// Memory that a later operation reads. Dot products of several rows ask for it, so many bytes with each output: while weights are decoded, the memory has
// time.
struct Coming {
  const char *at = nullptr, *end = nullptr;
  int64_t per_output = 0;
};

struct Kernels {
  const char* isa;  // "scalar", "avx2", "avx512", "avx512bf16", "avx512fp16", "amx"

  // acc (rows, 32) f32, row stride ldacc: = or += a (rows, k) * panel (k, 32). Any rows >= 1, any k >= 1.
  void (*gemm_f32)(const float* a, int64_t lda, const float* panel, int64_t k, int64_t rows, bool accumulate, float* acc,
                   int64_t ldacc);
  // The same for bf16 operands with f32 accumulation, and for `panels` panels side by side that lie panel_stride elements
  // apart: acc (rows, 32 panels). k is a multiple of 32 here (the caller pads a with zeros).
  // Null: products of bf16 activations are computed by gemm_f16, or by gemm_f32 on widened operands.
  void (*gemm_bf16)(const bf16_t* a, int64_t lda, const bf16_t* panel, int64_t panel_stride, int64_t panels, int64_t k,
                    int64_t rows, bool accumulate, float* acc, int64_t ldacc);

  // The whole of a product for `panels` panels side by side (columns > 32 (panels - 1)), summed over the stretches in order and
  // stored. The panels of each stretch lie panel_stride elements apart. scratch: for sums of 32 rows of the panels, 4 KB each, and
  // never less than kProductScratch.
  // Null, or for a contraction longer than longest_product in all: gemm_bf16 (gemm_f16) and the rows' epilogue instead.
  void (*product_bf16)(const HalfStretch* stretches, int count, int64_t panel_stride, int64_t panels, int64_t rows, const ProductOut& out,
                       float* scratch);
  int64_t longest_product;

  // One panel from a row-major source `src` of dtype `t` (misaligned is fine), row stride ld elements: panel column c is source row c
  // (columns = up to 32 rows present), contraction along the source's columns 0..k.
  void (*pack_fwd_f32)(const void* src, DType t, int64_t ld, int64_t k, int64_t columns, float* panel);
  void (*pack_fwd_bf16)(const void* src, DType t, int64_t ld, int64_t k, int64_t columns, bf16_t* panel);
  // Panels of 32 source columns each (as many as `columns` fill), panel_stride elements apart; contraction along the source's rows
  // 0..k.
  void (*pack_bwd_f32)(const void* src, DType t, int64_t ld, int64_t k, int64_t columns, float* panels, int64_t panel_stride);
  void (*pack_bwd_bf16)(const void* src, DType t, int64_t ld, int64_t k, int64_t columns, bf16_t* panels, int64_t panel_stride);

  // The same for rows [row, row + k) and columns [col, col + columns) of an i8 weight, decoded and rounded once on the way.
  void (*pack_bwd_i8)(const Weight& w, int64_t row, int64_t k, int64_t col, int64_t columns, bf16_t* panels, int64_t panel_stride);

  // The same for codes: panel column c is source row c, contraction along its columns. column_sums (32): of each column.
  void (*pack_codes)(const int8_t* src, int64_t ld, int64_t k, int64_t columns, int8_t* panel, int32_t* column_sums);
  // The same with contraction along the source's rows 0..k: panel column c is source column c.
  void (*pack_codes_rows)(const int8_t* src, int64_t ld, int64_t k, int64_t columns, int8_t* panel, int32_t* column_sums);

  // dst (rows, cols) of dtype `out` (f32 or bf16), row stride ld elements: rows [row, row + rows) and columns [col, col + cols)
  // of a weight in any format, decoded and rounded once.
  void (*decode)(const Weight& w, int64_t row, int64_t rows, int64_t col, int64_t cols, DType out, void* dst, int64_t ld);

  // dst (cols, rows) = src (rows, cols) transposed, of elements of 2 or 4 bytes; strides in elements.
  void (*transpose_16)(const uint16_t* src, int64_t ld, int64_t rows, int64_t cols, uint16_t* dst, int64_t ld_dst);
  void (*transpose_32)(const uint32_t* src, int64_t ld, int64_t rows, int64_t cols, uint32_t* dst, int64_t ld_dst);

  // Dot products for few rows, without packing: y[m][o] = sum_i x[m][i] w[o][i], x f32 (rows, k), w rows o of dtype t; k at most
  // kLongestDots. A row has the same bits whatever rows go with it.
  void (*gemv)(const float* x, int64_t ldx, int64_t rows, const void* w, DType t, int64_t ldw, int64_t k,
               int64_t outputs, float* y, int64_t ldy, Coming coming);

  // The same with a weight in any format, decoded on the way: rows [row, row + outputs), columns [col, col + k). The same bits as
  // gemv of the decoded weight.
  void (*gemv_coded)(const float* x, int64_t ldx, int64_t rows, const Weight& w, int64_t row, int64_t outputs, int64_t col, int64_t k, float* y,
                     int64_t ldy, Coming coming);

  // The same of bf16 rows, by weights in any format that are rounded to bf16. Null: gemv and gemv_coded of widened rows.
  void (*gemv_bf16)(const bf16_t* x, int64_t ldx, int64_t rows, const Weight& w, int64_t row, int64_t outputs, int64_t col, int64_t k, float* y,
                    int64_t ldy, Coming coming);

  // Products of bf16 or f16 in chains of f16 that are added up in f32. Null: none. a: rows that scale_rows_f16 made, with their scales;
  // k is a multiple of 32 as for gemm_bf16, panel_stride counts elements of 2 bytes.
  void (*gemm_f16)(const f16_t* a, int64_t lda, const float* row_scales, const f16_t* panel, int64_t panel_stride, int64_t panels, int64_t k,
                   int64_t rows, bool accumulate, float* acc, int64_t ldacc) = nullptr;
  // Rows of k elements of t (bf16 or f16) scaled by a power of two each and rounded to f16, zeros behind them up to whole panel steps;
  // scales: what undoes it. NaN where a row is not finite.
  void (*scale_rows_f16)(const void* a, DType t, int64_t lda, int64_t k, int64_t rows, f16_t* out, int64_t ld, float* scales) = nullptr;
  // As product_bf16, of rows of act (bf16 or f16) that it scales itself.
  void (*product_f16)(const HalfStretch* stretches, int count, DType act, int64_t panel_stride, int64_t panels, int64_t rows, const ProductOut& out,
                      float* scratch) = nullptr;
  // An f16 panel of an f32 panel.
  void (*pack_f16)(const float* from, int64_t k, f16_t* panel) = nullptr;

  // Called by each thread before and after a run of gemm_bf16 calls (AMX tile configuration); may be null.
  void (*begin)() = nullptr;
  void (*end)() = nullptr;
};

// Row kernels (the passes between products): the same arrangement, see row_kernels.h.

}  // namespace lowrank::cpu
