#include "cuda/emulation/queues.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "cuda/emulation/emulation.h"

namespace lowrank::cuda::emulation {

namespace {
thread_local std::vector<std::weak_ptr<Queues>> made;
}  // namespace

void finish_all() {
  for (const auto& one : made) {
    if (const auto queues = one.lock()) queues->finish();
  }
}

std::shared_ptr<Queues> make_queues() {
  std::erase_if(made, [](const auto& one) { return one.expired(); });
  const auto queues = std::make_shared<Queues>();
  made.push_back(queues);
  return queues;
}

Queues::Queues() {
  const char* const order = std::getenv("LOWRANK_EMULATION_COPIES");
  copies_first_ = order && std::string(order) == "first";
}

void Queues::push(Queue q, Work work) {
  if (!recording_) {
    of(q).push_back({std::move(work), nullptr, nullptr});
    return;
  }
  recording_->nodes++;
  recording_->calls.push_back([=, this] { push(q, work); });
}

void Queues::mark(int event, Queue q) {
  if (recording_) return recording_->calls.push_back([=, this] { mark(event, q); });
  events_[event] = std::make_shared<bool>(false);
  of(q).push_back({nullptr, events_[event], nullptr});
}

void Queues::await(int event, Queue q) {
  if (recording_) return recording_->calls.push_back([=, this] { await(event, q); });
  if (events_[event]) of(q).push_back({nullptr, nullptr, events_[event]});
}

void Queues::join(Queue from, Queue to) {
  mark(kJoin, from);
  await(kJoin, to);
}

void Queues::begin(Recording& r) { recording_ = &r; }

void Queues::replay(const Recording& r) {
  join(Queue::copies, Queue::operations);
  join(Queue::operations, Queue::copies);
  for (const Work& call : r.calls) call();
  join(Queue::copies, Queue::operations);
}

// Whether there was anything that could run.
bool Queues::run_next(Queue q) {
  std::deque<Item>& queue = of(q);
  if (queue.empty() || (queue.front().awaits && !*queue.front().awaits)) return false;
  const Item item = std::move(queue.front());
  queue.pop_front();
  if (item.work) item.work();
  if (item.marks) *item.marks = true;
  return true;
}

bool Queues::run_one() {
  const Queue ahead = copies_first_ ? Queue::copies : Queue::operations, other = copies_first_ ? Queue::operations : Queue::copies;
  return run_next(ahead) || run_next(other);
}

void Queues::wait(int event) {
  for (const Event e = events_[event]; e && !*e;) {
    if (!run_one()) fail("a queue waits for an event that does not come");
  }
}

void Queues::finish() {
  while (run_one()) {}
  if (!operations_.empty() || !copies_.empty()) fail("a queue waits for an event that does not come");
}

}  // namespace lowrank::cuda::emulation
