// Lines of memory that are asked for before they are read.
#pragma once

#include <cstdint>

namespace lowrank::cpu {

// Rows row_bytes apart, `bytes` of each. Inlined, for gcc 12 takes a call of a function that only prefetches for one without effect, and leaves it
// out; a lambda that calls this one is such a function, too.
inline __attribute__((always_inline)) void prefetch_rows(const void* first, int64_t row_bytes, int64_t rows, int64_t bytes, bool to_write = false) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t at = 0; at < bytes; at += 64) {
      const char* const line = static_cast<const char*>(first) + r * row_bytes + at;
      if (to_write) __builtin_prefetch(line, 1, 2);
      else __builtin_prefetch(line, 0, 2);
    }
  }
}

}  // namespace lowrank::cpu
