// Norms: a block takes a row, or a head of a row.
#include "cuda/block.h"
#include "cuda/kernels.h"

namespace lowrank::cuda::kernels {

namespace {

__device__ float rstd_of(float squares, int64_t n, float eps) { return 1 / sqrtf(squares / float(n) + eps); }

__global__ void __launch_bounds__(kThreads, 1) norm_fwd_kernel(NormFwdArgs a) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t m = blockIdx.x, n = a.x.cols;
  float mean = 0, squares = 0;
  if (a.centred) {
    for (int64_t c = threadIdx.x; c < n; c += blockDim.x) mean += a.x.get(m, c);
    mean = block_sum(mean, parts) / float(n);
  }
  for (int64_t c = threadIdx.x; c < n; c += blockDim.x) {
    const float y = a.x.get(m, c) - mean;
    squares += y * y;
  }
  const float rstd = rstd_of(block_sum(squares, parts), n, a.eps);
  if (a.rstd && threadIdx.x == 0) a.rstd[m] = rstd;
  for (int64_t c = threadIdx.x; c < n; c += blockDim.x) {
    const float y = a.x.get(m, c) - mean;
    if (a.saved) a.saved.set(m, c, y);
    a.h.set(m, c, y * rstd * a.w[c] + (a.b ? a.b[c] : 0));
  }
}

__global__ void __launch_bounds__(kThreads, 1) norm_apply_kernel(NormApplyArgs a) {
  const int64_t m = blockIdx.x;
  for (int64_t c = first_column(); c < a.x.cols; c += column_step()) a.h.set(m, c, a.x.get(m, c) * a.rstd[m] * a.w[c] + (a.b ? a.b[c] : 0));
}

__global__ void __launch_bounds__(kThreads, 1) norm_bwd_kernel(NormBwdArgs a) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t m = blockIdx.x, n = a.x.cols;
  float sum = 0, sum_g = 0;
  for (int64_t c = threadIdx.x; c < n; c += blockDim.x) {
    const float dy = a.dh.get(m, c) * a.w[c];
    sum += dy * a.x.get(m, c);
    sum_g += dy;
  }
  const float s = a.rstd[m], mean = block_sum(sum, parts) / float(n), mean_g = a.centred ? block_sum(sum_g, parts) / float(n) : 0;
  for (int64_t c = threadIdx.x; c < n; c += blockDim.x) {
    const float dx = a.dx.get(m, c) + s * (a.dh.get(m, c) * a.w[c] - a.x.get(m, c) * s * s * mean - mean_g);
    a.dx.set(m, c, dx);
    if (a.rounded) a.rounded.set(m, c, dx);
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

void norm_fwd(const NormFwdArgs& a, Stream stream) { LOWRANK_LAUNCH(norm_fwd_kernel, (unsigned(a.x.rows)), kThreads, stream, a); }
void norm_apply(const NormApplyArgs& a, Stream stream) { LOWRANK_LAUNCH_ELEMENTS(norm_apply_kernel, a.x, stream, a); }
void norm_bwd(const NormBwdArgs& a, Stream stream) { LOWRANK_LAUNCH(norm_bwd_kernel, (unsigned(a.x.rows)), kThreads, stream, a); }
void inner_norm_fwd(const InnerNormFwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(inner_norm_fwd_kernel, (unsigned(a.x.mat.rows), unsigned(a.heads)), kThreads, stream, a);
}
void inner_norm_bwd(const InnerNormBwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(inner_norm_bwd_kernel, (unsigned(a.x.mat.rows), unsigned(a.heads)), kThreads, stream, a);
}

}  // namespace lowrank::cuda::kernels
