// A small pool for data-parallel loops. Work is split over outputs only, so results never depend on the thread count.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace lowrank {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // the calling thread is one of them
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Calls f(task, thread) once for every task in [0, tasks), thread in [0, threads()); returns when all are done.
  // Tasks are taken in order by whichever thread is free. f must not throw. Not reentrant.
  template <class F>
  void run(int64_t tasks, F&& f) {
    using Fn = std::remove_reference_t<F>;
    run_erased(tasks, [](void* self, int64_t task, int thread) { (*static_cast<Fn*>(self))(task, thread); },
               const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  using Call = void (*)(void* self, int64_t task, int thread);
  void run_erased(int64_t tasks, Call call, void* self);
  void work(int thread);
  void drain(int thread);

  std::vector<std::thread> workers_;
  Call call_ = nullptr;
  void* self_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0};
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace lowrank
