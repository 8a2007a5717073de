// The only header of CUDA that kernels include: nvcc compiles them for GPUs, and any other compiler for the emulation, which runs them on the
// processor in tests.
#pragma once
#include <cstdint>

#include "cuda/stream.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "cuda/emulation/emulation.h"
#endif

namespace lowrank::cuda {

constexpr unsigned kWarp = 32, kWholeWarp = 0xffffffffu;

}  // namespace lowrank::cuda

#ifdef __CUDACC__

// An array in the memory that a block's threads share.
#define LOWRANK_SHARED(type, name, count) __shared__ type name[count]
#define LOWRANK_LAUNCH(kernel, grid, threads, stream, ...)                            \
  do {                                                                                \
    if (::lowrank::cuda::plans_only) break;                                           \
    kernel<<<dim3 grid, threads, 0, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__); \
    ::lowrank::cuda::check_launch(#kernel);                                           \
  } while (0)
// The one array of a kernel whose size the launch decides. `kernel` is in parentheses.
#define LOWRANK_DYNAMIC_SHARED(type, name)                             \
  extern __shared__ __align__(128) unsigned char lowrank_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(lowrank_dynamic_shared)
#define LOWRANK_LAUNCH_DYNAMIC(kernel, grid, threads, bytes, stream, ...)                        \
  do {                                                                                           \
    if (::lowrank::cuda::plans_only) break;                                                      \
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);             \
    kernel<<<dim3 grid, threads, bytes, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__);        \
    ::lowrank::cuda::check_launch(#kernel);                                                      \
  } while (0)

#else

#define LOWRANK_SHARED(type, name, count) \
  static const char name##_key = 0;       \
  type* const name = static_cast<type*>(::lowrank::cuda::emulation::shared(&name##_key, sizeof(type) * (count)))
#define LOWRANK_LAUNCH(kernel, grid, threads, stream, ...) \
  (::lowrank::cuda::emulation::run(stream, dim3 grid, threads, 0, [=] { kernel(__VA_ARGS__); }), ::lowrank::cuda::check_launch(#kernel))
#define LOWRANK_DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(::lowrank::cuda::emulation::dynamic_shared())
#define LOWRANK_LAUNCH_DYNAMIC(kernel, grid, threads, bytes, stream, ...) \
  (::lowrank::cuda::emulation::run(stream, dim3 grid, threads, bytes, [=] { kernel(__VA_ARGS__); }), ::lowrank::cuda::check_launch(#kernel))

#endif
