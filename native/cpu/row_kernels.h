// Row kernels of one instruction set: everything between the products. One source (row_kernels.inc), compiled per set.
// n counts elements; act is f32 or bf16; sums run in an order that depends on n only.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "base/rng.h"

namespace lowrank::cpu {

struct RowKernels {
  void (*widen)(const void* src, DType t, int64_t n, float* dst);    // dst = src, from any dtype
  void (*narrow)(const float* src, int64_t n, DType act, void* dst);  // dst = src rounded

  // out (=|+=) alpha * acc + bias; bias may be null
  void (*epilogue)(const float* acc, float alpha, const float* bias, int64_t n, DType act, bool accumulate, void* out);

  double (*sum_squares)(const float* x, int64_t n);
  // h = x * rstd * w; saved = x (null: not wanted)
  void (*norm_fwd)(const float* x, const float* w, float rstd, int64_t n, DType act, void* h, void* saved);
  void (*norm_apply)(const void* x, const float* w, float rstd, int64_t n, DType act, void* h);
  void (*norm_bwd)(const float* dh, const void* x, const float* w, float rstd, int64_t n, DType act, float* dx);

  // One token: `heads` heads of head_dim; cos and sin (head_dim / 2); sign -1 turns backwards
  void (*rope)(void* x, const float* cos, const float* sin, int64_t heads, int64_t head_dim, float sign, DType act);

  void (*swiglu_fwd)(const void* g, const void* u, int64_t n, DType act, void* a);
  void (*swiglu_bwd)(const void* da, const void* g, const void* u, int64_t n, DType act, void* dg, void* du);

  float (*max)(const float* x, int64_t n);
  float (*exp_sum)(float* x, int64_t n, float scale, float shift);  // x = exp(scale * x - shift); returns the sum
  void (*scale)(float* x, int64_t n, float factor);
  float (*dot)(const void* a, const void* b, int64_t n, DType act);
  void (*add_scaled)(const void* x, int64_t n, DType act, float factor, float* out);  // out += factor * x
  // p = exp(scale * p - lse); ds = scale * p * (ds - delta), ds holding do v^T
  void (*softmax_bwd)(float* p, float* ds, int64_t n, float scale, float lse, float delta);

  double (*log_sum_exp)(const void* x, int64_t n, DType act);
  void (*softmax_grad)(void* x, int64_t n, DType act, float lse, float factor);  // x = factor * exp(x - lse)

  // y = x / (1 - p) where kept, else 0; index of the first element within the mask
  void (*dropout)(const void* x, int64_t n, DType act, const Dropout& d, uint64_t index, void* y);
  // out += x / (1 - p) where kept
  void (*add_dropout)(const void* x, int64_t n, DType act, const Dropout& d, uint64_t index, DType out_type, void* out);

  void (*adamw)(float* p, float* m, float* v, const float* g, int64_t n, float grad_scale, float decay, float beta1, float beta2,
                float step_size, float root_correction, float eps);
};

}  // namespace lowrank::cpu
