// Copies beside the operations (Backend::copy): which queue of the device waits for which.
#pragma once
#include "cuda/device.h"
#include "ops/backend.h"

namespace lowrank::cuda {

class Lanes {
 public:
  explicit Lanes(Device& device) : device_(device) {}

  void copy(Lane, const void* from, int64_t bytes, void* to);
  void release(Lane);
  void acquire(Lane);
  void wait(Lane);

 private:
  static constexpr int released(Lane lane) { return 2 * int(lane); }
  static constexpr int copied(Lane lane) { return 2 * int(lane) + 1; }

  Device& device_;
};

}  // namespace lowrank::cuda
