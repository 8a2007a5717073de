#include "base/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/large_pages.h"

namespace lowrank {

Memory host_memory(int64_t bytes) {
  const auto pages = std::make_shared<LargePages>(std::max<int64_t>(bytes, 1));
  if (!pages->data()) {
    throw Error("E_MEMORY", "The system refused " + std::to_string(pages->bytes() >> 20) +
                                " MiB of memory. Use a smaller batch size or sequence length.");
  }
  return {{pages, pages->data()}, pages->bytes()};
}

void drop_pages(void* begin, int64_t bytes) {
  // A part of a large page would only be split off it.
  char* const at = static_cast<char*>(begin);
  const int64_t before = (kLargePage - int64_t(reinterpret_cast<uintptr_t>(at) % uintptr_t(kLargePage))) % kLargePage;
  const int64_t whole = (bytes - before) / kLargePage * kLargePage;
  if (whole > 0) madvise(at + before, size_t(whole), MADV_DONTNEED);
}

}  // namespace lowrank
