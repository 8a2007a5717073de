// Clipping and AdamW.
#include "cuda/block.h"
#include "cuda/kernels.h"
#include "cuda/workspace.h"
#include "ops/end_clip.h"
#include "quant/moments.h"

namespace lowrank::cuda::kernels {

namespace {

__global__ void __launch_bounds__(kThreads, 1) squares_kernel(ClipArgs a, double* sums) {
  LOWRANK_SHARED(double, parts, kWarp);
  double own = 0;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < a.n; i += int64_t(gridDim.x) * blockDim.x) own += double(a.g[i]) * double(a.g[i]);
  own = block_sum(own, parts);
  if (threadIdx.x == 0) sums[blockIdx.x] = own;
}

__global__ void __launch_bounds__(kThreads, 1) clip_kernel(ClipArgs a, const double* sums, unsigned count) {
  LOWRANK_SHARED(double, parts, kWarp);
  double own = 0;
  for (unsigned i = threadIdx.x; i < count; i += blockDim.x) own += sums[i];
  own = block_sum(own, parts);
  if (threadIdx.x == 0) end_clip(a, own);
}

struct Factors {
  float decay, rest1, beta1, beta2, rest2, step_size, root_correction;
};

// By the first thread, for all of them: powers in double are slow.
__device__ void make_factors(const AdamWArgs& a, Factors* f) {
  if (threadIdx.x > 0) return;
  const StepState& s = *a.state;
  const double t = double(s.applied), lr = double(s.learning_rate) * a.rate_factor;
  f->decay = float(1 - lr * double(a.weight_decay));
  f->beta1 = float(a.beta1);
  f->rest1 = float(1 - a.beta1);
  f->beta2 = float(a.beta2);
  f->rest2 = float(1 - a.beta2);
  f->step_size = float(lr / (1 - pow(a.beta1, t)));
  f->root_correction = float(sqrt(1 - pow(a.beta2, t)));
}

// One element: p, m and v are updated.
__device__ void update(const AdamWArgs& a, const Factors& f, int64_t i, float& m, float& v) {
  const float g = a.g[i] * a.state->grad_scale;
  m = m + f.rest1 * (g - m);
  v = f.beta2 * v + f.rest2 * g * g;
  a.p[i] = a.p[i] * f.decay - f.step_size * m / (sqrtf(v) / f.root_correction + a.eps);
}

__global__ void __launch_bounds__(kThreads, 1) adamw_kernel(AdamWArgs a) {
  LOWRANK_SHARED(Factors, factors, 1);
  make_factors(a, factors);
  __syncthreads();
  if (!a.state->applies) return;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < a.n; i += int64_t(gridDim.x) * blockDim.x) update(a, *factors, i, a.m[i], a.v[i]);
}

// The nearest value of a rising map of 256; of two equally near ones the smaller.
__device__ uint8_t nearest(const float* map, float x) {
  int low = 0, high = 255;  // the last value that is not above x, or the first
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (map[middle] <= x) low = middle;
    else high = middle - 1;
  }
  return uint8_t(low < 255 && fabsf(x - map[low + 1]) < fabsf(x - map[low]) ? low + 1 : low);
}

// A block takes a block of moments, a thread an element.
__global__ void __launch_bounds__(int(kMomentBlock), 1) adamw_8bit_kernel(AdamW8bitArgs a, const float* first, const float* second) {
  LOWRANK_SHARED(Factors, factors, 1);
  LOWRANK_SHARED(float, parts, kWarp);
  make_factors(a.step, factors);
  __syncthreads();
  if (!a.step.state->applies) return;
  const int64_t b = blockIdx.x, i = b * kMomentBlock + threadIdx.x;
  float m = 0, v = 0;
  if (i < a.step.n) {
    m = first[a.m[i]] * a.m_max[b];
    v = second[a.v[i]] * a.v_max[b];
    update(a.step, *factors, i, m, v);
  }
  float m_max = block_max(fabsf(m), parts), v_max = block_max(fabsf(v), parts);
  if (m_max == 0) m_max = 1;  // as bitsandbytes has it for a block of zeros
  if (v_max == 0) v_max = 1;
  if (i < a.step.n) {
    a.m[i] = nearest(first, m / m_max);
    a.v[i] = nearest(second, v / v_max);
  }
  if (threadIdx.x > 0) return;
  a.m_max[b] = m_max;
  a.v_max[b] = v_max;
}

}  // namespace

void clip(const ClipArgs& a, double* partial_sums, Stream stream) {
  const unsigned blocks = blocks_of(a.n, kPartialSums);
  LOWRANK_LAUNCH(squares_kernel, (blocks), kThreads, stream, a, partial_sums);
  LOWRANK_LAUNCH(clip_kernel, (1), kThreads, stream, a, partial_sums, blocks);
}

void adamw(const AdamWArgs& a, Stream stream) { LOWRANK_LAUNCH(adamw_kernel, (blocks_of(a.n, 4096)), kThreads, stream, a); }

void adamw_8bit(const AdamW8bitArgs& a, const Tables& tables, Stream stream) {
  const unsigned blocks = unsigned((a.step.n + kMomentBlock - 1) / kMomentBlock);
  if (blocks > 0) LOWRANK_LAUNCH(adamw_8bit_kernel, (blocks), int(kMomentBlock), stream, a, tables.first_moments, tables.second_moments);
}

}  // namespace lowrank::cuda::kernels
