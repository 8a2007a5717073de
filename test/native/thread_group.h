// Ranks that are threads of this process: every call waits for all of them.
#pragma once
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "group/group.h"

namespace lowrank::test {

class ThreadGroup final : public Group {
 public:
  // What the ranks share.
  class Hall {
   public:
    explicit Hall(int ranks) : desks_{Desk(ranks), Desk(ranks)} {}
    int ranks() const { return int(desks_[0].parts.size()); }

   private:
    friend class ThreadGroup;
    struct Desk {
      explicit Desk(int ranks) : parts(size_t(ranks)) {}
      std::mutex mutex;
      std::vector<const void*> parts;  // of each rank
      int arrived = 0, round = 0;
    };
    std::array<Desk, 2> desks_;  // of each channel
  };

  ThreadGroup(std::shared_ptr<Hall> hall, int rank) : hall_(std::move(hall)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return hall_->ranks(); }
  void finish() override {}
  void abort() override {}

  std::atomic<int> exchanges = 0;  // begun

 protected:
  void exchange(const float* parts, const std::vector<int>& counts, float* received) override {
    exchanges++;
    int64_t before = 0;
    for (int r = 0; r < rank_; r++) before += counts[size_t(r)];
    const auto own = size_t(counts[size_t(rank_)]);
    const auto all = meet(Channel::sums, parts);
    for (size_t r = 0; r < all.size(); r++) std::memcpy(received + r * own, static_cast<const float*>(all[r]) + before, own * sizeof(float));
    meet(Channel::sums, parts);  // nobody reads them any more
  }
  void gather(Channel channel, const void* mine, const std::vector<int>& counts, void* all) override {
    // A copy: `mine` may lie in `all`, where others' parts are written.
    const std::vector<char> copy(static_cast<const char*>(mine), static_cast<const char*>(mine) + counts[size_t(rank_)]);
    char* to = static_cast<char*>(all);
    const auto parts = meet(channel, copy.data());
    for (size_t r = 0; r < parts.size(); r++) {
      std::memcpy(to, parts[r], size_t(counts[r]));
      to += counts[r];
    }
    meet(channel, copy.data());
  }
  void broadcast(void* data, int bytes) override {
    const auto parts = meet(Channel::calls, data);
    if (rank_ > 0) std::memcpy(data, parts[0], size_t(bytes));
    meet(Channel::calls, data);
  }

 private:
  // Everyone's address, once all have come.
  std::vector<const void*> meet(Channel channel, const void* mine) {
    Hall::Desk& desk = hall_->desks_[channel == Channel::sums];
    const auto begin = std::chrono::steady_clock::now();
    std::unique_lock lock(desk.mutex);
    const int round = desk.round;
    desk.parts[size_t(rank_)] = mine;
    if (++desk.arrived == size()) {
      desk.arrived = 0;
      desk.round++;
    }
    while (desk.round == round) {
      lock.unlock();
      rest(channel, begin);
      lock.lock();
    }
    return desk.parts;
  }

  std::shared_ptr<Hall> hall_;
  int rank_;
};

}  // namespace lowrank::test
