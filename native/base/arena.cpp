#include "base/arena.h"

#include <utility>

#include "base/error.h"

namespace lowrank {

int64_t Arena::reserve(const std::string& item, int64_t bytes) {
  check(memory_.data == nullptr && bytes >= 0, "reserve after commit or of a negative size", "Arena");
  const int64_t offset = total_, size = aligned(bytes);
  total_ += size;
  for (auto& i : items_) {
    if (i.name != item) continue;
    i.bytes += size;
    return offset;
  }
  items_.push_back({item, size});
  return offset;
}

void Arena::commit(Memory memory) {
  check(memory.bytes >= total_, "less memory than was reserved", "Arena");
  total_ = memory.bytes;
  memory_ = std::move(memory);
}

}  // namespace lowrank
