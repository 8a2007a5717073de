// Passes that come again and again with the same shapes are recorded, and replayed as one.
#pragma once
#include <map>

#include "cuda/device.h"
#include "ops/backend.h"

namespace lowrank::cuda {

class Repeats {
 public:
  explicit Repeats(Device&);

  // As Backend::repeat. What comes a second time is recorded: the first time loads the kernels, and most shapes that come once never come
  // again.
  void run(const Backend::RepeatKey&, const std::function<void()>& enqueue);
  void forget() { shapes_.clear(); }
  int64_t replayed() const { return replayed_; }

 private:
  // Recordings, each of which takes some of the device's memory; and shapes that are counted.
  static constexpr size_t kMostRecordings = 8, kMostShapes = 1024;
  struct Shape {
    int64_t uses = 0;
    std::shared_ptr<void> recording;
  };
  using Shapes = std::map<Backend::RepeatKey, Shape>;

  bool makes_room(int64_t uses);

  Device& device_;
  bool records_;
  Shapes shapes_;
  int64_t replayed_ = 0;
};

}  // namespace lowrank::cuda
