// Times of operations, and the speed that a product has at its best.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "ops/backend.h"

namespace lowrank {

// One call: its operation, its beginning (seconds since the profile was made), its time, and its multiply-adds twice.
struct ProfileEvent {
  std::string name;
  double begin = 0, seconds = 0, flop = 0;
};

// The times of a backend's operations. Not thread-safe.
class Profile final : public Observer {
 public:
  void about(const std::string& modules) override { module_ = modules; }
  // Events since the last call; at most kMostEvents are kept.
  std::vector<ProfileEvent> take();

  void begin() override { begin_ = Clock::now(); }
  void end(const char* operation, double flop) override;

 private:
  static constexpr size_t kMostEvents = 1 << 20;
  using Clock = std::chrono::steady_clock;

  std::string module_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point begin_;
  std::vector<ProfileEvent> events_;
};

// FLOP/s of the backend's product at its best: 1024 x 1024 x 1024 random numbers in act, weights of the same dtype packed each time.
// They lie in `scratch`, of the backend's memory, where that is large enough.
double matmul_peak(Backend&, DType act, const OpLimits& limits, char* scratch, int64_t scratch_bytes);

}  // namespace lowrank
