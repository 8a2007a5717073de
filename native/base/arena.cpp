#include "base/arena.h"

#include <algorithm>

#include "base/error.h"

namespace lowrank {

int64_t Arena::reserve(const std::string& item, int64_t bytes) {
  check(memory_.data() == nullptr && bytes >= 0, "reserve after commit or of a negative size", "Arena");
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

void Arena::commit() {
  memory_ = LargePages(std::max<int64_t>(total_, 1));
  total_ = memory_.bytes();
  if (!memory_.data()) {
    throw Error("E_MEMORY", "The system refused " + std::to_string(total_ >> 20) +
                                " MiB of memory. Use a smaller batch size or sequence length.");
  }
}

}  // namespace lowrank
