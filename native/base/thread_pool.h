// A small pool for data-parallel loops. Work is split over outputs only, so results never depend on the thread count.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace lowrank {

class ThreadPool {
 public:
  // The calling thread is one of them. Error E_THREADS where the system starts no more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Calls f(task, thread) once for every task in [0, tasks), thread in [0, threads()); returns when all are done.
  // Tasks are taken in order by whichever thread is free. Not reentrant. Where f throws, the first exception is thrown once all threads have left
  // the loop, and tasks that were not begun by then are left out.
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
  void stop();
  bool is_news(uint64_t state, uint64_t seen) const;

  std::vector<std::thread> workers_;
  int spins_ = 0;      // before a waiting thread sleeps
  int most_awake_ = 0;  // workers that are woken for a loop
  Call call_ = nullptr;
  void* self_ = nullptr;
  int64_t tasks_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};  // a cache line of its own: threads that wait look at the state
  // Number of the loop, whether workers may still join it, and how many are at it. Whoever comes when it is closed waits for the next
  // one: nobody waits for a worker that has not been given a processor meanwhile.
  alignas(64) std::atomic<uint64_t> state_{0};
  std::atomic<bool> stop_{false}, caller_sleeps_{false};
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  int sleepers_ = 0;  // workers, under the mutex
  std::exception_ptr failure_;  // of the loop in progress, under the mutex
};

}  // namespace lowrank
