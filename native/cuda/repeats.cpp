#include "cuda/repeats.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "cuda/device_memory.h"

namespace lowrank::cuda {

Repeats::Repeats(Device& device) : device_(device), most_nodes_(kMostNodes) {
  const char* const wanted = std::getenv("LOWRANK_CUDA_GRAPHS");
  records_ = !wanted || (std::string(wanted) != "off" && std::string(wanted) != "0");
  if (wanted && std::atoll(wanted) > 0) most_nodes_ = std::atoll(wanted);
}

void Repeats::run(const Backend::RepeatKey& key, const std::function<void()>& enqueue) {
  if (!records_) return enqueue();
  if (shapes_.size() >= kMostShapes) std::erase_if(shapes_, [](const auto& shape) { return !shape.second.recording.owner; });
  Shape& shape = shapes_[key];
  shape.uses++;
  if (!shape.recording.owner && shape.uses > 1 && makes_room(shape.uses)) {
    shape.recording = device_.record(enqueue);
    if (!shape.recording.owner) {
      records_ = false;
      forget();  // all take memory
      return enqueue();
    }
  }
  if (!shape.recording.owner) return enqueue();
  device_.replay(shape.recording);
  replayed_++;
}

int64_t Repeats::largest() const {
  int64_t most = 0;
  for (const auto& [key, shape] : shapes_) most = std::max(most, shape.recording.nodes);
  return most;
}

// Each recording takes some of the device's memory, by its nodes: a new one as much as the largest. A shape that comes more often takes the place of
// those that came least often.
bool Repeats::makes_room(int64_t uses) {
  std::vector<Shape*> recorded;
  int64_t nodes = largest();
  for (auto& [key, shape] : shapes_) {
    if (!shape.recording.owner) continue;
    recorded.push_back(&shape);
    nodes += shape.recording.nodes;
  }
  std::sort(recorded.begin(), recorded.end(), [](const Shape* a, const Shape* b) { return a->uses < b->uses; });
  const auto fits = [&](size_t gone) { return gone == recorded.size() || (int64_t(recorded.size() - gone) < kMostRecordings && nodes <= most_nodes_); };
  size_t gone = 0;
  for (; !fits(gone); gone++) {
    // None is given up where that makes no room.
    if (recorded[gone]->uses >= uses) return false;
    nodes -= recorded[gone]->recording.nodes;
  }
  for (size_t i = 0; i < gone; i++) recorded[i]->recording = {};
  return true;
}

}  // namespace lowrank::cuda
