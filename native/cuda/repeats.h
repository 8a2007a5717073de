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
  int64_t largest() const;  // nodes

 private:
  static constexpr size_t kMostShapes = 1024;  // that are counted
  struct Shape {
    int64_t uses = 0;
    Device::Recording recording;
  };
  using Shapes = std::map<Backend::RepeatKey, Shape>;

  bool makes_room(int64_t uses);

  Device& device_;
  bool records_;
  int64_t most_nodes_;
  Shapes shapes_;
  int64_t replayed_ = 0;
};

}  // namespace lowrank::cuda
