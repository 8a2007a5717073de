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

// The part of a block of moments, and what its elements have in common.
struct Part {
  int64_t begin, elements, m, v, m_max, v_max, first_block;
  bool is_8bit;
  float decay, rest1, beta2, rest2, step_size, root_correction;
};
// What all parts have in common: powers in double are slow.
struct Corrections {
  double first, root;
};

__device__ int64_t part_of(const AdamWArgs& a, int64_t block) {
  int64_t low = 0, high = a.count - 1;  // the last part that begins at or before it
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (a.parts[middle].first_block <= block) low = middle;
    else high = middle - 1;
  }
  return low;
}

__device__ void load_part(const AdamWArgs& a, const Corrections& c, int64_t number, Part* to) {
  const AdamWPart& p = a.parts[number];
  const double lr = double(a.state->learning_rate) * p.rate_factor;
  to->begin = p.begin;
  to->elements = p.elements;
  to->m = p.m;
  to->v = p.v;
  to->m_max = p.m_max;
  to->v_max = p.v_max;
  to->first_block = p.first_block;
  to->is_8bit = p.is_8bit;
  to->decay = float(1 - lr * double(p.weight_decay));
  to->rest1 = float(1 - a.beta1);
  to->beta2 = float(a.beta2);
  to->rest2 = float(1 - a.beta2);
  to->step_size = float(lr / c.first);
  to->root_correction = float(c.root);
}

// One element: p, m and v are updated.
__device__ void update(const AdamWArgs& a, const Part& part, int64_t i, float& m, float& v) {
  const float g = a.g[i] * a.state->grad_scale;
  m = m + part.rest1 * (g - m);
  v = part.beta2 * v + part.rest2 * g * g;
  a.p[i] = a.p[i] * part.decay - part.step_size * m / (sqrtf(v) / part.root_correction + a.eps);
}

// A block takes `count` blocks of moments one after the other, a thread an element of each. All tensors are in one launch.
__global__ void __launch_bounds__(int(kMomentBlock), 1) adamw_kernel(AdamWArgs a, int64_t count, const float* first, const float* second) {
  LOWRANK_SHARED(Part, part, 1);
  LOWRANK_SHARED(float, parts, kWarp);
  if (!a.state->applies) return;
  const int64_t begin = int64_t(blockIdx.x) * count, end = begin + count < a.blocks ? begin + count : a.blocks;
  Corrections corrections = {};
  int64_t number = 0;
  if (threadIdx.x == 0) {
    const double t = double(a.state->applied);
    corrections = {1 - pow(a.beta1, t), sqrt(1 - pow(a.beta2, t))};
    number = part_of(a, begin);
    load_part(a, corrections, number, part);
  }
  for (int64_t block = begin; block < end; block++) {
    if (threadIdx.x == 0) {
      const int64_t before = number;
      while (number + 1 < a.count && a.parts[number + 1].first_block <= block) number++;
      if (number != before) load_part(a, corrections, number, part);
    }
    __syncthreads();
    const int64_t b = block - part->first_block, i = b * kMomentBlock + threadIdx.x, at = part->begin + i;
    const bool is_there = i < part->elements;
    if (part->is_8bit) {
      uint8_t *const m_codes = reinterpret_cast<uint8_t*>(a.moments + part->m), *const v_codes = reinterpret_cast<uint8_t*>(a.moments + part->v);
      float *const m_maxima = reinterpret_cast<float*>(a.moments + part->m_max), *const v_maxima = reinterpret_cast<float*>(a.moments + part->v_max);
      float m = 0, v = 0;
      if (is_there) {
        m = first[m_codes[i]] * m_maxima[b];
        v = second[v_codes[i]] * v_maxima[b];
        update(a, *part, at, m, v);
      }
      float m_max = block_max(fabsf(m), parts), v_max = block_max(fabsf(v), parts);
      if (m_max == 0) m_max = 1;  // as bitsandbytes has it for a block of zeros
      if (v_max == 0) v_max = 1;
      if (is_there) {
        m_codes[i] = nearest(first, m / m_max);
        v_codes[i] = nearest(second, v / v_max);
      }
      if (threadIdx.x == 0) {
        m_maxima[b] = m_max;
        v_maxima[b] = v_max;
      }
    } else if (is_there) {
      update(a, *part, at, reinterpret_cast<float*>(a.moments + part->m)[i], reinterpret_cast<float*>(a.moments + part->v)[i]);
    }
    __syncthreads();
  }
}

}  // namespace

void clip(const ClipArgs& a, double* partial_sums, Stream stream) {
  const unsigned blocks = blocks_of(a.n, kPartialSums);
  LOWRANK_LAUNCH(squares_kernel, (blocks), kThreads, stream, a, partial_sums);
  LOWRANK_LAUNCH(clip_kernel, (1), kThreads, stream, a, partial_sums, blocks);
}

void adamw(const AdamWArgs& a, const Tables& tables, Stream stream) {
  constexpr int64_t kMostBlocks = 2048, kLeast = 4;  // a part is loaded and powers are made once for some blocks of moments
  const int64_t wanted = (a.blocks + kMostBlocks - 1) / kMostBlocks, each = wanted > kLeast ? wanted : kLeast;
  if (a.blocks == 0) return;
  LOWRANK_LAUNCH(adamw_kernel, (unsigned((a.blocks + each - 1) / each)), int(kMomentBlock), stream, a, each, tables.first_moments, tables.second_moments);
}

}  // namespace lowrank::cuda::kernels
