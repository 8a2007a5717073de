// Finds races of kernels: accesses of two threads to one byte, one of them a write, with no barrier between them. The kernels are compiled with
// -fsanitize=thread, whose calls end here and not in ThreadSanitizer: it knows no blocks, and follows a thousand threads slowly. Barriers of a block
// order its threads, launches order everything, and nothing orders two blocks of a launch. An exchange between lanes orders no memory.
#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "cuda/emulation/emulation.h"

namespace lowrank::cuda::emulation {

namespace {

// The last accesses to a byte. `phase`: of a block between two barriers; phases are numbered through all blocks and launches.
struct Access {
  uint64_t phase = 0;
  uint32_t block = 0;
  uint16_t thread = 0;
  bool is_volatile = false;
};
struct Byte {
  Access written, read;
  bool by_several = false;  // reads of the phase
};
constexpr uintptr_t kTogether = 16;
using Bytes = std::array<Byte, kTogether>;

class Races final : public Watcher {
 public:
  Races() { watcher = this; }
  void launch() override {
    bytes_.clear();
    block_ = 0;
    phase_++;
  }
  void block() override {
    block_++;
    phase_++;
  }
  void barrier() override { phase_++; }

  void access(unsigned thread, const void* at, size_t n, bool writes, bool is_volatile) override {
    const Access now{phase_, block_, uint16_t(thread), is_volatile};
    const bool is_shared = in_shared_memory(at);
    const uintptr_t first = reinterpret_cast<uintptr_t>(at), end = first + n;
    for (uintptr_t address = first; address < end;) {
      Bytes& all = bytes_[address / kTogether];
      for (const uintptr_t behind = (address / kTogether + 1) * kTogether; address < end && address < behind; address++) note(all[address % kTogether], now, writes, is_shared);
    }
  }

 private:
  void note(Byte& b, const Access& now, bool writes, bool is_shared) {
    if (meet(b.written, now, is_shared)) report(b.written, now, true, writes, is_shared);
    if (!writes) {
      b.by_several = b.read.phase == phase_ && (b.by_several || b.read.thread != now.thread);
      b.read = now;
      return;
    }
    if (meet(b.read, now, is_shared) || (b.by_several && b.read.phase == phase_)) report(b.read, now, false, true, is_shared);
    b.written = now;
  }
  // Whether nothing orders the two. Shared memory is a block's own.
  static bool meet(const Access& before, const Access& now, bool is_shared) {
    if (before.phase == 0 || (before.is_volatile && now.is_volatile)) return false;
    if (before.block != now.block) return !is_shared;
    return before.phase == now.phase && before.thread != now.thread;
  }
  [[noreturn]] static void report(const Access& before, const Access& now, bool wrote, bool writes, bool is_shared) {
    const std::string other = before.block != now.block ? "a thread of another block" : before.thread != now.thread ? "thread " + std::to_string(before.thread) : "another thread";
    fail((std::string("a race: it ") + (writes ? "writes" : "reads") + (is_shared ? " shared" : " global") + " memory that " + other + (wrote ? " wrote" : " read") + " since the last barrier").c_str());
  }

  std::unordered_map<uintptr_t, Bytes> bytes_;
  uint64_t phase_ = 1;
  uint32_t block_ = 0;
};
Races races;

void tell(const void* at, size_t n, bool writes, bool is_volatile = false) {
  if (is_running() && !in_stacks(at)) races.access(threadIdx.x, at, n, writes, is_volatile);
}

}  // namespace

}  // namespace lowrank::cuda::emulation

// What the compiler calls.
using lowrank::cuda::emulation::tell;
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
#define LOWRANK_ACCESSES(n)                                                        \
  void __tsan_read##n(void* p) { tell(p, n, false); }                              \
  void __tsan_write##n(void* p) { tell(p, n, true); }                              \
  void __tsan_unaligned_read##n(void* p) { tell(p, n, false); }                    \
  void __tsan_unaligned_write##n(void* p) { tell(p, n, true); }                    \
  void __tsan_volatile_read##n(void* p) { tell(p, n, false, true); }               \
  void __tsan_volatile_write##n(void* p) { tell(p, n, true, true); }
LOWRANK_ACCESSES(1)
LOWRANK_ACCESSES(2)
LOWRANK_ACCESSES(4)
LOWRANK_ACCESSES(8)
LOWRANK_ACCESSES(16)
void __tsan_read_range(void* p, size_t n) { tell(p, n, false); }
void __tsan_write_range(void* p, size_t n) { tell(p, n, true); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
}
