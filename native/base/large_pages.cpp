#include "base/large_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

namespace lowrank {

bool has_large_pages() {
  FILE* f = std::fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
  if (!f) return false;
  char text[64] = "";
  const bool read = std::fgets(text, sizeof text, f) != nullptr;
  std::fclose(f);
  return read && !std::strstr(text, "[never]");
}

LargePages::LargePages(int64_t bytes) : bytes_((bytes + kLargePage - 1) / kLargePage * kLargePage) {
  // More is reserved than needed, so that its beginning can be at a large page. The surplus is given back.
  const auto size = size_t(bytes_ + kLargePage);
  void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return;
  char* const all = static_cast<char*>(p);
  const int64_t over = kLargePage - int64_t(reinterpret_cast<uintptr_t>(all) % uintptr_t(kLargePage));
  data_ = all + over % kLargePage;
  if (data_ > all) munmap(all, size_t(data_ - all));
  munmap(data_ + bytes_, size_t(all + size - (data_ + bytes_)));
  madvise(data_, size_t(bytes_), MADV_HUGEPAGE);  // without effect where the system forbids it
}

LargePages::~LargePages() {
  if (data_) munmap(data_, size_t(bytes_));
}

LargePages::LargePages(LargePages&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

LargePages& LargePages::operator=(LargePages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

bool LargePages::move_to(void* place) {
  if (mprotect(data_, size_t(bytes_), PROT_READ) != 0) return false;
  if (mremap(data_, size_t(bytes_), size_t(bytes_), MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) return false;
  data_ = nullptr;
  return true;
}

}  // namespace lowrank
