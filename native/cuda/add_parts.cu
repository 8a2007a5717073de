// Sums over ranks: of the parts that a rank has received.
#include "cuda/block.h"
#include "cuda/kernels.h"

namespace lowrank::cuda::kernels {

namespace {

// A thread takes an element, so that each sum has the order of the parts.
__global__ void __launch_bounds__(kThreads, 1) add_parts_kernel(const float* parts, int count, int64_t n, float* sums) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += int64_t(gridDim.x) * blockDim.x) {
    float sum = parts[i];
    for (int p = 1; p < count; p++) sum += parts[p * n + i];
    sums[i] = sum;
  }
}

}  // namespace

void add_parts(const float* parts, int count, int64_t n, float* sums, Stream stream) {
  if (n > 0) LOWRANK_LAUNCH(add_parts_kernel, (blocks_of(n, 4096)), kThreads, stream, parts, count, n, sums);
}

}  // namespace lowrank::cuda::kernels
