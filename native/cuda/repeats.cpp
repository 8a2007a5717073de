#include "cuda/repeats.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace lowrank::cuda {

Repeats::Repeats(Device& device) : device_(device) {
  const char* const wanted = std::getenv("LOWRANK_CUDA_GRAPHS");
  records_ = !wanted || std::string(wanted) != "off";
}

void Repeats::run(const Backend::RepeatKey& key, const std::function<void()>& enqueue) {
  if (!records_) return enqueue();
  if (shapes_.size() >= kMostShapes) std::erase_if(shapes_, [](const auto& shape) { return !shape.second.recording; });
  Shape& shape = shapes_[key];
  shape.uses++;
  if (!shape.recording && shape.uses > 1 && makes_room(shape.uses)) {
    shape.recording = device_.record(enqueue);
    records_ = bool(shape.recording);
  }
  if (!shape.recording) return enqueue();
  device_.replay(shape.recording.get());
  replayed_++;
}

// A shape that comes more often takes the place of the one that came least often.
bool Repeats::makes_room(int64_t uses) {
  size_t recordings = 0;
  Shape* rarest = nullptr;
  for (auto& [key, shape] : shapes_) {
    if (!shape.recording) continue;
    recordings++;
    if (!rarest || shape.uses < rarest->uses) rarest = &shape;
  }
  if (recordings < kMostRecordings) return true;
  if (rarest->uses >= uses) return false;
  rarest->recording.reset();
  return true;
}

}  // namespace lowrank::cuda
