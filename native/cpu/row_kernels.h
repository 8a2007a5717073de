// Row kernels of one instruction set: everything between the products. One source (row_kernels.inc), compiled per set.
// n counts elements; act is any dtype; sums run in an order that depends on n only.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "base/rng.h"
#include "ops/activation.h"

namespace lowrank::cpu {

struct SoftmaxRow {
  const float *scores, *d_weights;  // q k^T, and do v^T
  int64_t from, seen;               // columns that the row sees: from .. seen - 1
  float lse, delta;
  bf16_t* ds;
};

// The factors of a step of AdamW, from the options and the step's number. rest = 1 - beta.
struct AdamWFactors {
  float grad_scale, decay, rest1, beta2, rest2, step_size, root_correction, eps;
};

struct RowKernels {
  bool flushes_bf16;  // rounding to bf16 takes subnormal numbers for zero

  void (*widen)(const void* src, DType t, int64_t n, float* dst);    // dst = src, from any dtype
  void (*narrow)(const float* src, int64_t n, DType act, void* dst);  // dst = src rounded

  // out (=|+=) alpha * acc + bias; bias may be null
  void (*epilogue)(const float* acc, float alpha, const float* bias, int64_t n, DType act, bool accumulate, void* out);

  double (*sum)(const float* x, int64_t n);
  double (*sum_squares)(const float* x, float mean, int64_t n);  // of x - mean
  // h = (x - mean) * rstd * w + b, b may be null; saved = x - mean (null: not wanted)
  void (*norm_fwd)(const float* x, float mean, const float* w, const float* b, float rstd, int64_t n, DType act, void* h, void* saved);
  void (*norm_apply)(const void* x, const float* w, const float* b, float rstd, int64_t n, DType act, void* h);
  // rounded: dx in act, too; null: not wanted
  void (*norm_bwd)(const float* dh, const void* x, const float* w, float rstd, bool centred, int64_t n, DType act, float* dx, void* rounded);

  // One token: `heads` heads of head_dim, `stride` elements from one to the next; cos and sin (head_dim / 2); sign -1 turns backwards
  void (*rope)(void* x, const float* cos, const float* sin, int64_t heads, int64_t head_dim, int64_t stride, float sign, DType act);
  void (*rope_interleaved)(void* x, const float* cos, const float* sin, int64_t heads, int64_t head_dim, int64_t stride, float sign, DType act);

  // u (and du) null: a = f(g)
  void (*glu_fwd)(Activation f, const void* g, const void* u, int64_t n, DType act, void* a);
  void (*glu_bwd)(Activation f, const void* da, const void* g, const void* u, int64_t n, DType act, void* dg, void* du);

  float (*max)(const float* x, int64_t n);
  float (*exp_sum)(float* x, int64_t n, float scale, float shift);  // x = exp(scale * x - shift); returns the sum
  // The same in bf16, x staying: out = exp(scale * x - shift) rounded, 0 from n to padded (a multiple of 32); returns the sum before rounding
  float (*exp_sum_bf16)(const float* x, int64_t n, int64_t padded, float scale, float shift, bf16_t* out);
  void (*scale)(float* x, int64_t n, float factor);
  float (*dot)(const void* a, const void* b, int64_t n, DType act);
  void (*add_scaled)(const void* x, int64_t n, DType act, float factor, float* out);  // out += factor * x
  // out (count, n): row r = factors[r, 0] x[0, :] + factors[r, 1] x[1, :] + ..., added up in this order over the rows of x. Strides in elements.
  void (*weighted_sums)(const void* x, DType act, int64_t ld, int64_t rows, int64_t n, const float* factors, int64_t ld_factors, int64_t count, float* out,
                        int64_t ld_out);
  // p = exp(scale * p - lse); ds = scale * p * (ds - delta), ds holding do v^T
  void (*softmax_bwd)(float* p, float* ds, int64_t n, float scale, float lse, float delta);
  // Of final scores s in p: p = exp(s - lse); ds = scale * (1 - (s / cap)^2) * p * (ds - delta); cap infinite: they are not capped
  void (*softmax_bwd_capped)(float* p, float* ds, int64_t n, float scale, float cap, float lse, float delta);

  // The same for two rows of bf16 attention, rounded, 0 outside of the columns that they see. cap: of final scores, as softmax_bwd_capped's; 0: they are scaled here. ds goes to its row, and p and ds go as a pair of k to
  // panels of 32 columns, panel_elements apart. columns is a multiple of 32.
  void (*softmax_bwd_pair)(const SoftmaxRow rows[2], int64_t columns, float scale, float cap, bf16_t* p_panel, bf16_t* ds_panel, int64_t panel_elements);

  void (*shift_scores)(float* x, int64_t n, float scale, const float* bias);  // x = scale * x + bias
  void (*soft_cap)(void* x, int64_t n, DType act, float scale, float cap);  // x = cap * tanh(scale * x / cap)
  void (*multiply)(const void* src, DType from, int64_t n, float factor, DType to, void* dst);  // dst = factor * src

  double (*log_sum_exp)(const void* x, int64_t n, DType act);
  void (*softmax_grad)(void* x, int64_t n, DType act, float lse, float factor);  // x = factor * exp(x - lse)
  void (*softmax_grad_capped)(void* x, int64_t n, DType act, float lse, float factor, float cap);  // x = factor * (1 - (x / cap)^2) * exp(x - lse)

  // y = x / (1 - p) where kept, else 0; index of the first element within the mask
  void (*dropout)(const void* x, int64_t n, DType act, const Dropout& d, uint64_t index, void* y);
  // out += x / (1 - p) where kept
  void (*add_dropout)(const void* x, int64_t n, DType act, const Dropout& d, uint64_t index, DType out_type, void* out);
  // DropoutArgs' y
  void (*mask)(const void* x, int64_t n, DType from, const Dropout& d, uint64_t index, bool rest, bool accumulate, DType to, void* y);

  // LLM.int8, of x rounded to f16: the largest magnitude below the threshold; outliers[i] = 1 where one is not below it, else
  // as it was (several threads may write). sums = int32 sums * factor * maxima (which may be misaligned, or null: 1) as f32, in place, + before (or null).
  float (*int8_maximum)(const void* x, int64_t n, DType act, float threshold, uint8_t* outliers);
  void (*int8_scale)(void* sums, int64_t n, float factor, const void* maxima, const float* before);

  // The 8-bit backward pass: z = dy * maxima (f32, which may be misaligned), returns the largest magnitude, NaN where something is not finite.
  // Then z = whole numbers within [-127, 127], z * factor rounded to the nearest, ties to even; with numbers (or null) to either side, by chance:
  // element i has the number of index + i.
  float (*int8_fold)(const void* dy, int64_t n, DType act, const void* maxima, float* z);
  void (*int8_round)(float* z, int64_t n, float factor, const Dropout* numbers, uint64_t index);

  void (*adamw)(float* p, float* m, float* v, const float* g, int64_t n, const AdamWFactors&);
};

}  // namespace lowrank::cpu
