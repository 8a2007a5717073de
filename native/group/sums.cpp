#include "group/sums.h"

#include <system_error>

#include "base/error.h"

namespace lowrank {

Sums::~Sums() {
  if (!thread_.joinable()) return;
  group_.give_up();
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Sums::start(float* values, int64_t n) {
  if (group_.size() == 1 || n == 0) return;
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& e) {
      throw Error("E_THREADS", std::string("The system starts no more threads (") + e.code().message() + "), and sums over ranks need one.");
    }
  }
  {
    const std::lock_guard lock(mutex_);
    parts_.push_back({values, n});
  }
  changed_.notify_all();
}

void Sums::complete() {
  const Group::Waiting waiting(group_);
  std::unique_lock lock(mutex_);
  group_.hurry_sums(true);
  changed_.wait(lock, [&] { return parts_.empty(); });
  group_.hurry_sums(false);
  if (failure_) std::rethrow_exception(failure_);
}

void Sums::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ends_ || !parts_.empty(); });
    if (ends_) return;
    const Part part = parts_.front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      group_.sum(part.values, part.n);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    // What failed once does not come back: the others are not begun.
    if (failure) {
      failure_ = failure;
      parts_.clear();
    } else {
      parts_.pop_front();
    }
    changed_.notify_all();
  }
}

}  // namespace lowrank
