// Norms: a block takes a row, or a head of a row.
#include "cuda/kernels.h"
#include "cuda/wide.h"

namespace lowrank::cuda::kernels {

namespace {

__device__ float rstd_of(float squares, int64_t n, float eps) { return 1 / sqrtf(squares / float(n) + eps); }

template <int N>
__global__ void __launch_bounds__(kThreads, 1) norm_fwd_kernel(NormFwdArgs a) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t m = blockIdx.x, n = a.x.cols, first = N * int64_t(threadIdx.x), step = N * int64_t(blockDim.x);
  float x[N], mean = 0, squares = 0;
  if (a.centred) {
    for (int64_t c = first; c < n; c += step) {
      read(a.x, m, c, x);
      for (const float v : x) mean += v;
    }
    mean = block_sum(mean, parts) / float(n);
  }
  for (int64_t c = first; c < n; c += step) {
    read(a.x, m, c, x);
    for (const float v : x) squares += (v - mean) * (v - mean);
  }
  const float rstd = rstd_of(block_sum(squares, parts), n, a.eps);
  if (a.rstd && threadIdx.x == 0) a.rstd[m] = rstd;
  float w[N], b[N] = {};
  for (int64_t c = first; c < n; c += step) {
    read(a.x, m, c, x);
    read(a.w + c, w);
    if (a.b) read(a.b + c, b);
    for (float& v : x) v -= mean;
    if (a.saved) write(a.saved, m, c, x);
    for (int k = 0; k < N; k++) x[k] = x[k] * rstd * w[k] + b[k];
    write(a.h, m, c, x);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) norm_apply_kernel(NormApplyArgs a) {
  const int64_t m = blockIdx.x;
  float x[N], w[N], b[N] = {};
  for (int64_t c = first_element<N>(); c < a.x.cols; c += element_step<N>()) {
    read(a.x, m, c, x);
    read(a.w + c, w);
    if (a.b) read(a.b + c, b);
    for (int k = 0; k < N; k++) x[k] = x[k] * a.rstd[m] * w[k] + b[k];
    write(a.h, m, c, x);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) norm_bwd_kernel(NormBwdArgs a) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t m = blockIdx.x, n = a.x.cols, first = N * int64_t(threadIdx.x), step = N * int64_t(blockDim.x);
  float x[N], dh[N], w[N], dx[N], sum = 0, sum_g = 0;
  for (int64_t c = first; c < n; c += step) {
    read(a.x, m, c, x);
    read(a.dh, m, c, dh);
    read(a.w + c, w);
    for (int k = 0; k < N; k++) {
      sum += dh[k] * w[k] * x[k];
      sum_g += dh[k] * w[k];
    }
  }
  const float s = a.rstd[m], mean = block_sum(sum, parts) / float(n), mean_g = a.centred ? block_sum(sum_g, parts) / float(n) : 0;
  for (int64_t c = first; c < n; c += step) {
    read(a.x, m, c, x);
    read(a.dh, m, c, dh);
    read(a.w + c, w);
    read(a.dx, m, c, dx);
    for (int k = 0; k < N; k++) dx[k] += s * (dh[k] * w[k] - x[k] * s * s * mean - mean_g);
    write(a.dx, m, c, dx);
    if (a.rounded) write(a.rounded, m, c, dx);
  }
}

// The mean of a head's values where the norm is centred, else 0.
__device__ float centre_of(bool centred, const Mat& x, int64_t m, int64_t first, int64_t n, float* parts) {
  if (!centred) return 0;
  float sum = 0;
  for (int64_t c = threadIdx.x; c < n; c += blockDim.x) sum += x.get(m, first + c);
  return block_sum(sum, parts) / float(n);
}

__global__ void __launch_bounds__(kThreads, 1) inner_norm_fwd_kernel(InnerNormFwdArgs a) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t m = blockIdx.x, h = blockIdx.y, per_group = a.heads / a.groups, own = a.each ? h * a.dim : 0;
  const int64_t from = a.x.column(h / per_group, h % per_group), to = a.y.column(h / per_group, h % per_group);
  const float mean = centre_of(a.centred, a.x.mat, m, from, a.dim, parts);
  float squares = 0;
  for (int64_t c = threadIdx.x; c < a.dim; c += blockDim.x) {
    const float x = a.x.mat.get(m, from + c) - mean;
    squares += x * x;
  }
  const float rstd = rstd_of(block_sum(squares, parts), a.dim, a.eps);
  if (a.rstd && threadIdx.x == 0) a.rstd[m * a.heads + h] = rstd;
  for (int64_t c = threadIdx.x; c < a.dim; c += blockDim.x) {
    const float y = (a.x.mat.get(m, from + c) - mean) * rstd * a.w[own + c] + (a.b ? a.b[own + c] : 0);
    a.y.mat.set(m, to + c, a.accumulate ? a.y.mat.get(m, to + c) + y : y);
  }
}

__global__ void __launch_bounds__(kThreads, 1) inner_norm_bwd_kernel(InnerNormBwdArgs a) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t m = blockIdx.x, h = blockIdx.y, g = h / (a.heads / a.groups), j = h % (a.heads / a.groups), own = a.each ? h * a.dim : 0;
  const int64_t dy = a.dy.column(g, j), x = a.x.column(g, j), dx = a.dx.column(g, j);
  const float centre = centre_of(a.centred, a.x.mat, m, x, a.dim, parts);
  float sum = 0, sum_g = 0;
  for (int64_t c = threadIdx.x; c < a.dim; c += blockDim.x) {
    const float value = a.dy.mat.get(m, dy + c) * a.w[own + c];
    sum += value * (a.x.mat.get(m, x + c) - centre);
    sum_g += value;
  }
  const float s = a.rstd[m * a.heads + h], mean = block_sum(sum, parts) / float(a.dim), mean_g = a.centred ? block_sum(sum_g, parts) / float(a.dim) : 0;
  for (int64_t c = threadIdx.x; c < a.dim; c += blockDim.x) {
    a.dx.mat.set(m, dx + c, s * (a.dy.mat.get(m, dy + c) * a.w[own + c] - (a.x.mat.get(m, x + c) - centre) * s * s * mean - mean_g));
  }
}

}  // namespace

void norm_fwd(const NormFwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ROWS(all_wide(a.x, a.w, a.b, a.saved, a.h), norm_fwd_kernel, a.x.rows, stream, a);
}
void norm_apply(const NormApplyArgs& a, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(a.x, a.w, a.b, a.h), norm_apply_kernel, a.x, stream, a);
}
void norm_bwd(const NormBwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ROWS(all_wide(a.x, a.dh, a.w, a.dx, a.rounded), norm_bwd_kernel, a.x.rows, stream, a);
}
void inner_norm_fwd(const InnerNormFwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(inner_norm_fwd_kernel, (unsigned(a.x.mat.rows), unsigned(a.heads)), kThreads, stream, a);
}
void inner_norm_bwd(const InnerNormBwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(inner_norm_bwd_kernel, (unsigned(a.x.mat.rows), unsigned(a.heads)), kThreads, stream, a);
}

}  // namespace lowrank::cuda::kernels
