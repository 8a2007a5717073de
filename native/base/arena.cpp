#include "base/arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/error.h"

namespace lowrank {

namespace {
constexpr int64_t kHugePage = 2 << 20;
}  // namespace

Arena::~Arena() {
  if (base_) munmap(base_, size_t(total_));
}

int64_t Arena::reserve(const std::string& item, int64_t bytes) {
  check(base_ == nullptr && bytes >= 0, "reserve after commit or of a negative size", "Arena");
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
  total_ = std::max<int64_t>(total_, 1);
  total_ = (total_ + kHugePage - 1) / kHugePage * kHugePage;
  void* p = mmap(nullptr, size_t(total_), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    throw Error("E_MEMORY", "The system refused " + std::to_string(total_ >> 20) +
                                " MiB of memory. Use a smaller batch size or sequence length.");
  }
  madvise(p, size_t(total_), MADV_HUGEPAGE);  // fewer TLB misses; without effect where the system forbids it
  base_ = static_cast<char*>(p);
}

}  // namespace lowrank
