#include "guarded.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace lowrank::test {

namespace {
constexpr int64_t kGuard = 512;  // bytes; wider than any vector or tile row
constexpr char kPattern = char(0xff);
lowrank::Memory (*device_memory)(int64_t) = nullptr;
std::map<int64_t, std::vector<std::shared_ptr<void>>> free_memory;

// A device takes longer to give such memory than to run a case: blocks of a power of two are used again.
std::shared_ptr<void> reused_memory(int64_t bytes) {
  const int64_t size = int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(bytes, 1024))));
  auto& free = free_memory[size];
  if (free.empty()) free.push_back(device_memory(size).data);
  const std::shared_ptr<void> block = free.back();
  free.pop_back();
  return {block.get(), [block, size](void*) { free_memory[size].push_back(block); }};
}

}  // namespace

void set_test_memory(lowrank::Memory (*allocate)(int64_t bytes)) {
  device_memory = allocate;
  free_memory.clear();
}

std::shared_ptr<void> test_memory(int64_t bytes) {
  if (device_memory) return reused_memory(bytes);
  void* const p = std::aligned_alloc(64, size_t((bytes + 63) / 64 * 64));
  if (!p) throw std::bad_alloc();
  return {p, std::free};
}

Guarded::Guarded(int64_t element_bytes, int64_t rows, int64_t cols, int64_t ld, int64_t offset)
    : element_bytes_(element_bytes), rows_(rows), cols_(cols), ld_(ld), first_(kGuard + offset) {
  extent_ = ((rows - 1) * ld + cols) * element_bytes;
  total_ = (first_ + extent_ + kGuard + 63) / 64 * 64;
  owner_ = test_memory(total_);
  memory_ = static_cast<char*>(owner_.get());
  std::memset(memory_, kPattern, size_t(total_));
  ASAN_POISON_MEMORY_REGION(memory_, size_t(first_));
  ASAN_POISON_MEMORY_REGION(memory_ + first_ + extent_, size_t(total_ - first_ - extent_));
}

Guarded::~Guarded() {
  if (!memory_) return;
  ASAN_UNPOISON_MEMORY_REGION(memory_, size_t(total_));
}

Guarded& Guarded::operator=(Guarded&& o) noexcept {
  std::swap(owner_, o.owner_);
  std::swap(memory_, o.memory_);
  std::swap(element_bytes_, o.element_bytes_);
  std::swap(rows_, o.rows_);
  std::swap(cols_, o.cols_);
  std::swap(ld_, o.ld_);
  std::swap(first_, o.first_);
  std::swap(extent_, o.extent_);
  std::swap(total_, o.total_);
  return *this;
}

bool Guarded::guarded(int64_t byte) const {
  if (byte < 0 || byte >= extent_) return true;
  return byte / element_bytes_ % ld_ >= cols_;
}

std::string Guarded::damage() const {
  if (!memory_) return "";
  ASAN_UNPOISON_MEMORY_REGION(memory_, size_t(total_));
  std::string found;
  const auto examine = [&](int64_t from, int64_t to) {  // bytes counted from the first element
    for (int64_t b = from; b < to && found.empty(); b++) {
      if (memory_[first_ + b] == kPattern || !guarded(b)) continue;
      if (b < 0) found = std::to_string(-b) + " bytes before the first element";
      else if (b >= extent_) found = std::to_string(b - extent_) + " bytes behind the last element";
      else found = "behind row " + std::to_string(b / element_bytes_ / ld_);
    }
  };
  examine(-first_, 0);
  if (ld_ > cols_) {
    for (int64_t r = 0; r + 1 < rows_; r++) examine((r * ld_ + cols_) * element_bytes_, (r + 1) * ld_ * element_bytes_);
  }
  examine(extent_, total_ - first_);
  ASAN_POISON_MEMORY_REGION(memory_, size_t(first_));
  ASAN_POISON_MEMORY_REGION(memory_ + first_ + extent_, size_t(total_ - first_ - extent_));
  return found;
}

}  // namespace lowrank::test
