// One block of memory, planned item by item before anything is allocated, mapped once and never freed inside a run.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/large_pages.h"

namespace lowrank {

// mapped: page cache of files, given back to the system when something else needs the memory.
enum class MemoryPlace { host, mapped };

struct MemoryItem {
  std::string name;
  int64_t bytes = 0;
  MemoryPlace place = MemoryPlace::host;
};

class Arena {
 public:
  static int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }  // a cache line, a zmm register, an AMX tile row

  // Reserves bytes under an item's name; the offset is a multiple of 64. Before commit() only.
  int64_t reserve(const std::string& item, int64_t bytes);

  // Maps the memory, zero-filled. Error E_MEMORY where there is not enough.
  void commit();

  void* at(int64_t offset) const { return memory_.data() + offset; }
  template <class T>
  T* at(int64_t offset) const { return reinterpret_cast<T*>(memory_.data() + offset); }

  int64_t total_bytes() const { return total_; }
  const std::vector<MemoryItem>& items() const { return items_; }

 private:
  LargePages memory_;
  int64_t total_ = 0;
  std::vector<MemoryItem> items_;
};

}  // namespace lowrank
