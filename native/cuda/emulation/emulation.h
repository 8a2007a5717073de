// Runs kernels on the processor, for tests: every thread of a block is a fiber, and the blocks run one after the other. Shared memory begins as
// NaN and has guards. LOWRANK_EMULATION_ORDER (ascending, descending, random:N) decides the order in which threads go on. A deadlock, a thread
// that leaves before a barrier, or a write behind shared memory ends the process with a message.
#pragma once
#include <math.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <vector>

#define __global__
#define __host__
#define __device__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace lowrank::cuda::emulation {

extern uint3 thread_index, block_index;
extern dim3 block_size, grid_size;

// Is told of launches, blocks, barriers and accesses to memory: in a build that looks for races (races.cpp), else null.
class Watcher {
 public:
  virtual void launch() = 0;
  virtual void block() = 0;
  virtual void barrier() = 0;
  virtual void access(unsigned thread, const void* at, size_t n, bool writes, bool is_volatile) = 0;

 protected:
  ~Watcher() = default;
};
extern Watcher* watcher;
bool is_running();  // a thread of a kernel
bool in_stacks(const void*);
bool in_shared_memory(const void*);

void run(void* stream, dim3 grid, unsigned threads, size_t dynamic_bytes, const std::function<void()>& kernel);
// Takes what is launched on a stream, to run it later; null: it runs at once.
extern void (*take)(void* stream, std::function<void()> launch);
// Without it: what this thread launches, where it is recorded and does not run.
using Recording = std::vector<std::function<void()>>;
extern thread_local Recording* recording;
void* dynamic_shared();
[[noreturn]] void fail(const char* what);
void barrier();
// The memory of one shared array of the block in progress.
void* shared(const void* key, size_t bytes);

// Waits for all lanes of the mask; `combine` sees their payloads, null for other lanes.
using Combine = void (*)(void** lanes);
void collective(unsigned mask, const void* operation, void* payload, Combine combine);

template <class T>
struct Shuffle {
  T value, found;
  unsigned from;
};
template <class T>
T shuffle(unsigned mask, T value, unsigned from) {
  static const char operation = 0;
  Shuffle<T> s{value, value, from};
  collective(mask, &operation, &s, [](void** lanes) {
    for (unsigned i = 0; i < 32; i++) {
      auto* const lane = static_cast<Shuffle<T>*>(lanes[i]);
      if (lane && lanes[lane->from]) lane->found = static_cast<Shuffle<T>*>(lanes[lane->from])->value;
    }
  });
  return s.found;
}

}  // namespace lowrank::cuda::emulation

#define threadIdx ::lowrank::cuda::emulation::thread_index
#define blockIdx ::lowrank::cuda::emulation::block_index
#define blockDim ::lowrank::cuda::emulation::block_size
#define gridDim ::lowrank::cuda::emulation::grid_size

inline void __syncthreads() { lowrank::cuda::emulation::barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  static const char operation = 0;
  lowrank::cuda::emulation::collective(mask, &operation, nullptr, [](void**) {});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned other) {
  return lowrank::cuda::emulation::shuffle(mask, value, (threadIdx.x % 32) ^ other);
}
