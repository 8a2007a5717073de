// What kernels share: sums over a block in one order, and grids.
#pragma once
#include "cuda/compat.h"
#include "ops/arguments.h"

namespace lowrank::cuda {

constexpr int kThreads = 128;

template <class T>
__device__ __forceinline__ T larger(T a, T b) {
  return a > b ? a : b;
}

// The sum (or maximum) of all threads' values, for each of them. parts: shared, one element a warp. Every thread comes.
template <class T>
__device__ __forceinline__ T block_sum(T v, T* parts) {
  for (unsigned other = kWarp / 2; other > 0; other /= 2) v += __shfl_xor_sync(kWholeWarp, v, other);
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = v;
  __syncthreads();
  T all = parts[0];
  for (unsigned i = 1; i < blockDim.x / kWarp; i++) all += parts[i];
  __syncthreads();
  return all;
}
template <class T>
__device__ __forceinline__ T block_max(T v, T* parts) {
  for (unsigned other = kWarp / 2; other > 0; other /= 2) v = larger(v, __shfl_xor_sync(kWholeWarp, v, other));
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = v;
  __syncthreads();
  T all = parts[0];
  for (unsigned i = 1; i < blockDim.x / kWarp; i++) all = larger(all, parts[i]);
  __syncthreads();
  return all;
}

// Elements of a matrix: a row is blockIdx.x, and a thread's first column and its step are these.
__device__ __forceinline__ int64_t first_column() { return int64_t(blockIdx.y) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t column_step() { return int64_t(gridDim.y) * blockDim.x; }

// Blocks (rows, parts of columns): few rows are divided, so that there are enough blocks.
inline unsigned column_parts(int64_t rows, int64_t cols) {
  const int64_t most = (cols + kThreads - 1) / kThreads, wanted = 4096 / (rows > 0 ? rows : 1);
  return unsigned(most < 1 || wanted < 1 ? 1 : most < wanted ? most : wanted);
}

// Blocks of a grid whose threads take an element each, and then the next one of theirs: `most` at most.
inline unsigned blocks_of(int64_t n, int64_t most) {
  const int64_t blocks = (n + kThreads - 1) / kThreads;
  return unsigned(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

}  // namespace lowrank::cuda

// A kernel over a matrix's elements.
#define LOWRANK_LAUNCH_ELEMENTS(kernel, matrix, stream, ...) \
  LOWRANK_LAUNCH(kernel, (unsigned((matrix).rows), column_parts((matrix).rows, (matrix).cols)), kThreads, stream, __VA_ARGS__)
