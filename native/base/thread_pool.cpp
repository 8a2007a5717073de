#include "base/thread_pool.h"

namespace lowrank {

namespace {
// Loops of a training step follow each other within microseconds: spin this often before going to sleep.
constexpr int kSpins = 4000;
inline void pause() { __builtin_ia32_pause(); }
}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int t = 1; t < threads; t++) workers_.emplace_back([this, t] { work(t); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (auto& w : workers_) w.join();
}

void ThreadPool::drain(int thread) {
  for (int64_t t; (t = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) call_(self_, t, thread);
}

void ThreadPool::run_erased(int64_t tasks, Call call, void* self) {
  if (tasks <= 0) return;
  if (workers_.empty() || tasks == 1) {
    for (int64_t t = 0; t < tasks; t++) call(self, t, 0);
    return;
  }
  call_ = call;
  self_ = self;
  tasks_ = tasks;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(int(workers_.size()), std::memory_order_relaxed);
  {
    std::lock_guard lock(mutex_);
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  drain(0);
  for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; spins++) {
    if (spins < kSpins) pause();
    else std::this_thread::yield();
  }
}

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  for (;;) {
    for (int spins = 0; generation_.load(std::memory_order_acquire) == seen && !stop_.load(); spins++) {
      if (spins < kSpins) {
        pause();
        continue;
      }
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load() != seen || stop_.load(); });
    }
    if (generation_.load(std::memory_order_acquire) == seen) return;  // stopped
    seen++;
    drain(thread);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace lowrank
