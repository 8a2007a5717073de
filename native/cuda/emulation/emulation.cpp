#include "cuda/emulation/emulation.h"

#include "cuda/stream.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace lowrank::cuda::emulation {

Watcher* watcher = nullptr;
thread_local Recording* recording = nullptr;
void (*take)(void* stream, std::function<void()> launch) = nullptr;
uint3 thread_index, block_index;
dim3 block_size, grid_size;

namespace {

constexpr size_t kStack = 256 << 10, kSharedMemory = 228 << 10, kGuard = 64;
constexpr unsigned kMostThreads = 1024, kLanes = 32;
constexpr unsigned char kUnwritten = 0xff, kGuardByte = 0xa5;

enum class State { ready, at_barrier, in_collective, done };

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;
  State state = State::done;
  // Of a collective:
  const void* operation = nullptr;
  unsigned mask = 0;
  void* payload = nullptr;
  void* sanitizer = nullptr;
};

struct Shared {
  const void* key;
  size_t at, bytes;
};

Fiber fibers[kMostThreads];
unsigned threads = 0, current = 0;
void* scheduler_stack = nullptr;
[[maybe_unused]] void* scheduler_sanitizer = nullptr;
[[maybe_unused]] const void* scheduler_bottom = nullptr;
[[maybe_unused]] size_t scheduler_size = 0;
const std::function<void()>* body = nullptr;
std::vector<Shared> shared_arrays;
char *shared_memory = nullptr, *stacks = nullptr;
bool running = false;
size_t shared_used = 0, dynamic_size = 0;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "emulation: %s, in block (%u, %u), thread %u\n", what.c_str(), block_index.x, block_index.y, current);
  std::abort();
}

// Saves the registers that a call leaves alone, and goes on where another stack left off.
extern "C" void lowrank_switch_stack(void** save, void* load);
asm(".text\n.globl lowrank_switch_stack\n.hidden lowrank_switch_stack\n.type lowrank_switch_stack,@function\nlowrank_switch_stack:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size lowrank_switch_stack,.-lowrank_switch_stack\n");

void to_scheduler([[maybe_unused]] bool ends) {
  Fiber& f = fibers[current];
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(ends ? nullptr : &f.sanitizer, scheduler_bottom, scheduler_size);
#elif defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(scheduler_sanitizer, __tsan_switch_to_fiber_no_sync);
#endif
  lowrank_switch_stack(&f.stack_pointer, scheduler_stack);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(f.sanitizer, nullptr, nullptr);
#endif
}

void resume(unsigned i) {
  current = i;
  thread_index.x = i;
  running = true;
  Fiber& f = fibers[i];
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&scheduler_sanitizer, f.stack, kStack);
#elif defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(f.sanitizer, __tsan_switch_to_fiber_no_sync);
#endif
  lowrank_switch_stack(&scheduler_stack, f.stack_pointer);
  running = false;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(scheduler_sanitizer, nullptr, nullptr);
#endif
}

// What happened before a launch or a barrier, the sanitizer of threads is told.
char launch_mark, barrier_mark, end_mark;
void release([[maybe_unused]] char& mark) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&mark);
#endif
}
void acquire([[maybe_unused]] char& mark) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&mark);
#endif
}

void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size);
#endif
  acquire(launch_mark);
  (*body)();
  release(end_mark);
  fibers[current].state = State::done;
  to_scheduler(true);
  die("a thread went on after its end");
}

void begin(unsigned i) {
  Fiber& f = fibers[i];
  if (!stacks) {
    void* const p = mmap(nullptr, kMostThreads * kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) die("no memory for stacks");
    stacks = static_cast<char*>(p);
  }
  f.stack = stacks + i * kStack;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(f.stack, kStack);
#elif defined(__SANITIZE_THREAD__)
  if (f.sanitizer) __tsan_destroy_fiber(f.sanitizer);
  f.sanitizer = __tsan_create_fiber(0);
#endif
  // The six registers, the address that the first switch returns to, and a place for a return address of its own.
  void** top = reinterpret_cast<void**>(f.stack + kStack) - 8;
  std::fill(top, top + 8, nullptr);
  top[6] = reinterpret_cast<void*>(&fiber_main);
  f.stack_pointer = top;
  f.state = State::ready;
}

std::vector<unsigned> order_of_threads() {
  static const std::string wanted = std::getenv("LOWRANK_EMULATION_ORDER") ? std::getenv("LOWRANK_EMULATION_ORDER") : "ascending";
  std::vector<unsigned> order(threads);
  std::iota(order.begin(), order.end(), 0u);
  if (wanted == "descending") std::reverse(order.begin(), order.end());
  if (wanted.starts_with("random:")) {
    static uint64_t state = std::strtoull(wanted.c_str() + 7, nullptr, 10);
    for (size_t i = order.size(); i > 1; i--) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      std::swap(order[i - 1], order[(state >> 33) % i]);
    }
  }
  return order;
}

void check_guards() {
  for (const Shared& s : shared_arrays) {
    for (size_t i = 0; i < kGuard; i++) {
      if (static_cast<unsigned char>(shared_memory[s.at + s.bytes + i]) != kGuardByte) die("shared memory was written behind an array");
    }
  }
}

void run_block() {
  shared_arrays.clear();
  shared_used = 0;
  const std::vector<unsigned> order = order_of_threads();
  for (unsigned i = 0; i < threads; i++) begin(i);
  release(launch_mark);
  if (watcher) watcher->block();
  for (unsigned done = 0; done < threads;) {
    bool moved = false;
    for (const unsigned i : order) {
      if (fibers[i].state != State::ready) continue;
      resume(i);
      moved = true;
      done += fibers[i].state == State::done;
    }
    if (moved) continue;
    // Nobody can go on: all are at the barrier, or something is wrong.
    for (unsigned i = 0; i < threads; i++) {
      current = i;
      if (fibers[i].state == State::in_collective) die("a warp waits for a lane that does not come");
      if (fibers[i].state == State::done) die("a thread left before a barrier");
    }
    for (unsigned i = 0; i < threads; i++) fibers[i].state = State::ready;
    if (watcher) watcher->barrier();
  }
  acquire(end_mark);
  check_guards();
}

}  // namespace

static void run_now(dim3 grid, unsigned count, size_t dynamic_bytes, const std::function<void()>& kernel) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  if (count == 0 || count > kMostThreads || grid.x == 0 || grid.y == 0 || grid.y > 65535 || grid.z != 1) die("a launch with a bad grid");
  if (!shared_memory) shared_memory = static_cast<char*>(std::aligned_alloc(128, kSharedMemory));
#if defined(__SANITIZE_THREAD__)
  scheduler_sanitizer = __tsan_get_current_fiber();
#endif
  if (watcher) watcher->launch();
  body = &kernel;
  dynamic_size = dynamic_bytes;
  threads = count;
  grid_size = grid;
  block_size = dim3(count);
  for (unsigned y = 0; y < grid.y; y++) {
    for (unsigned x = 0; x < grid.x; x++) {
      block_index = {x, y, 0};
      run_block();
    }
  }
}

void run(void* stream, dim3 grid, unsigned count, size_t dynamic_bytes, const std::function<void()>& kernel) {
  const auto now = [=] { run_now(grid, count, dynamic_bytes, kernel); };
  if (plans_only) return;
  if (take) take(stream, now);
  else if (recording) recording->push_back(now);
  else now();
}

bool is_running() { return running; }
bool in_stacks(const void* p) { return stacks && p >= stacks && p < stacks + kMostThreads * kStack; }
bool in_shared_memory(const void* p) { return shared_memory && p >= shared_memory && p < shared_memory + kSharedMemory; }

void barrier() {
  release(barrier_mark);
  fibers[current].state = State::at_barrier;
  to_scheduler(false);
  acquire(barrier_mark);
}

void* dynamic_shared() { return shared(&dynamic_size, dynamic_size); }

void fail(const char* what) { die(what); }

void* shared(const void* key, size_t bytes) {
  for (const Shared& s : shared_arrays) {
    if (s.key == key) return shared_memory + s.at;
  }
  const size_t at = (shared_used + 127) / 128 * 128;
  shared_used = at + bytes + kGuard;
  if (shared_used > kSharedMemory) die("too much shared memory");
  std::memset(shared_memory + at, kUnwritten, bytes);
  std::memset(shared_memory + at + bytes, kGuardByte, kGuard);
  shared_arrays.push_back({key, at, bytes});
  return shared_memory + at;
}

void collective(unsigned mask, const void* operation, void* payload, Combine combine) {
  const unsigned first = current / kLanes * kLanes, lane = current - first;
  if (!(mask >> lane & 1)) die("a lane is not in its own mask");
  Fiber& own = fibers[current];
  own.operation = operation;
  own.mask = mask;
  own.payload = payload;
  own.state = State::in_collective;
  void* payloads[kLanes] = {};
  for (unsigned i = 0; i < kLanes; i++) {
    if (!(mask >> i & 1)) continue;
    if (first + i >= threads || fibers[first + i].state == State::done) die("a mask names a lane that is not there");
    const Fiber& f = fibers[first + i];
    if (f.state != State::in_collective) {  // the last to come combines
      to_scheduler(false);
      return;
    }
    if (f.operation != operation || f.mask != mask) die("lanes of one mask are in different operations");
    payloads[i] = f.payload;
  }
  combine(payloads);
  for (unsigned i = 0; i < kLanes; i++) {
    if (mask >> i & 1) fibers[first + i].state = State::ready;
  }
}

}  // namespace lowrank::cuda::emulation
