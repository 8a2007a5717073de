// The two queues of an emulated device. Nothing runs when it is enqueued, but when somebody waits: then one queue runs as far ahead of the other as
// events let it, so that an event that is missing shows. LOWRANK_EMULATION_COPIES says which: `last` (operations, the default) or `first` (copies).
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "cuda/device.h"

namespace lowrank::cuda::emulation {

class Queues {
 public:
  using Queue = Device::Queue;
  using Work = std::function<void()>;

  Queues();
  Queues(const Queues&) = delete;
  Queues& operator=(const Queues&) = delete;

  void push(Queue, Work);
  void mark(int event, Queue);
  void await(int event, Queue);
  // Runs until the event has happened, or all is done.
  void wait(int event);
  void finish();

  // What is enqueued from begin() to end(), and does not run.
  struct Recording {
    std::vector<Work> calls;
    int64_t nodes = 0;
  };
  void begin(Recording&);
  void end() { recording_ = nullptr; }
  bool records() const { return recording_ != nullptr; }
  void replay(const Recording&);

 private:
  using Event = std::shared_ptr<bool>;  // whether it has happened
  struct Item {
    Work work;
    Event marks, awaits;
  };
  static constexpr int kJoin = Device::kEvents;

  bool run_next(Queue);
  bool run_one();
  void join(Queue from, Queue to);
  std::deque<Item>& of(Queue q) { return q == Queue::copies ? copies_ : operations_; }

  bool copies_first_;
  std::deque<Item> operations_, copies_;
  Event events_[Device::kEvents + 1];
  Recording* recording_ = nullptr;
};

// All queues that this thread made: before memory of the host is freed.
void finish_all();
std::shared_ptr<Queues> make_queues();

}  // namespace lowrank::cuda::emulation
