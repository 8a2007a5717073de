#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace lowrank {

namespace {

// Loops of a training step follow each other within microseconds: spin this often before going to sleep.
constexpr int kSpins = 4000;
inline void pause() { __builtin_ia32_pause(); }

constexpr uint64_t kWorkers = (uint64_t(1) << 24) - 1, kOpen = uint64_t(1) << 24, kLoop = uint64_t(1) << 25;
uint64_t loop_of(uint64_t state) { return state / kLoop; }

int processors() {
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof mine, &mine) == 0) return CPU_COUNT(&mine);
  return int(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  // If there are more threads than processors, spinning threads take processors from each other. Then no more threads
  // than processors work at a time.
  spins_ = threads <= processors() ? kSpins : 0;
  most_awake_ = std::max(1, processors() - 1);
  try {
    for (int t = 1; t < threads; t++) workers_.emplace_back([this, t] { work(t); });
  } catch (const std::system_error& e) {
    const auto started = std::to_string(workers_.size());
    stop();
    throw Error("E_THREADS", "The system starts no more than " + started + " of " + std::to_string(threads - 1) + " threads (" + e.code().message() +
                                 "). Use fewer --threads.");
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (auto& w : workers_) w.join();
}

void ThreadPool::drain(int thread) {
  try {
    for (int64_t t; (t = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) call_(self_, t, thread);
  } catch (...) {
    next_.store(tasks_);
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
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
  int to_wake = 0;
  {
    std::lock_guard lock(mutex_);
    state_.store((loop_of(state_.load()) + 1) * kLoop | kOpen);
    to_wake = int(std::min<int64_t>({sleepers_, most_awake_, tasks - 1}));
  }
  if (to_wake == int(workers_.size())) {
    wake_.notify_all();
  } else {
    for (int i = 0; i < to_wake; i++) wake_.notify_one();
  }
  drain(0);
  state_.fetch_and(~kOpen);
  const auto is_done = [&] { return (state_.load() & kWorkers) == 0; };
  for (int spins = 0; !is_done(); spins++) {
    if (spins < spins_) {
      pause();
      continue;
    }
    std::unique_lock lock(mutex_);
    caller_sleeps_.store(true);
    done_.wait(lock, is_done);
    caller_sleeps_.store(false);
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

// Whether there is a loop to join that this worker has not been at.
bool ThreadPool::is_news(uint64_t state, uint64_t seen) const { return ((state & kOpen) != 0 && loop_of(state) != seen) || stop_.load(); }

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  for (;;) {
    for (int spins = 0; !is_news(state_.load(), seen); spins++) {
      if (spins < spins_) {
        pause();
        continue;
      }
      std::unique_lock lock(mutex_);
      sleepers_++;
      wake_.wait(lock, [&] { return is_news(state_.load(), seen); });
      sleepers_--;
    }
    if (stop_.load()) return;
    uint64_t state = state_.load();
    if (!is_news(state, seen) || !state_.compare_exchange_strong(state, state + 1)) continue;
    seen = loop_of(state);
    drain(thread);
    // The last one of a closed loop may have to wake the caller.
    if (((state_.fetch_sub(1) - 1) & (kOpen | kWorkers)) == 0 && caller_sleeps_.load()) {
      std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}

}  // namespace lowrank
