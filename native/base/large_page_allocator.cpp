#include "base/large_page_allocator.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "base/large_pages.h"

namespace lowrank {

namespace {

constexpr size_t kSmall = 64 << 10;  // a model of such arrays alone would waste more of its last page than it gains
// Reserved at a time, not taken; a tensor of usual models is far smaller.
constexpr int64_t kRegion = 256 << 20;
constexpr int64_t kAlignment = 64;

struct Region {
  LargePages memory;
  int64_t used = 0;    // its arrays follow one another
  int64_t arrays = 0;  // that are still in use; with the last the region goes
};

struct Regions {
  std::mutex mutex;
  std::map<const char*, Region> by_begin;
  Region* last = nullptr;  // the region that has room
};

Regions& regions() {
  static Regions all;
  return all;
}

}  // namespace

void* take_from_large_pages(size_t bytes) {
  if (bytes < kSmall) return ::operator new(bytes);
  const int64_t size = (int64_t(bytes) + kAlignment - 1) / kAlignment * kAlignment;
  Regions& all = regions();
  const std::lock_guard lock(all.mutex);
  if (!all.last || all.last->memory.bytes() - all.last->used < size) {
    LargePages memory(std::max(kRegion, size));
    if (!memory.data()) throw std::bad_alloc();
    const char* const begin = memory.data();
    all.last = &all.by_begin.emplace(begin, Region{.memory = std::move(memory)}).first->second;
  }
  char* const p = all.last->memory.data() + all.last->used;
  all.last->used += size;
  all.last->arrays++;
  return p;
}

void give_to_large_pages(void* p, size_t bytes) noexcept {
  if (bytes < kSmall) {
    ::operator delete(p);
    return;
  }
  Regions& all = regions();
  const std::lock_guard lock(all.mutex);
  const auto region = std::prev(all.by_begin.upper_bound(static_cast<const char*>(p)));
  if (--region->second.arrays > 0) return;
  if (all.last == &region->second) all.last = nullptr;
  all.by_begin.erase(region);
}

}  // namespace lowrank
