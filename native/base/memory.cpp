#include "base/memory.h"

#include <algorithm>
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

}  // namespace lowrank
