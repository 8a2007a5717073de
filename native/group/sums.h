// Sums of gradients over the ranks that go on beside the backward pass, on a thread of their own.
#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "group/group.h"

namespace lowrank {

class Sums {
 public:
  explicit Sums(Group& group) : group_(group) {}
  ~Sums();  // gives up those in progress
  Sums(const Sums&) = delete;
  Sums& operator=(const Sums&) = delete;

  // As Group::sum, one after the other. All ranks start the same sums in the same order, each when it likes. The values are nobody else's until
  // complete(). Error E_THREADS
  void start(float* values, int64_t n);
  // Returns when all that were started are there. Error E_GROUP of the first one that failed.
  void complete();

 private:
  void run();

  struct Part {
    float* values;
    int64_t n;
  };
  Group& group_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Part> parts_;  // not yet summed; the first one may be in progress
  std::exception_ptr failure_;
  bool ends_ = false;
  std::thread thread_;  // none before the first sum
};

}  // namespace lowrank
