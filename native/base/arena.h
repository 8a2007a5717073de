// One block of memory, planned item by item before anything is allocated, allocated once and never freed inside a run.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/memory.h"

namespace lowrank {

// mapped: page cache of files, given back to the system when something else needs the memory. device: no memory of the host.
enum class MemoryPlace { host, mapped, device };

struct MemoryItem {
  std::string name;
  int64_t bytes = 0;
  MemoryPlace place = MemoryPlace::host;
  bool idle = false;  // between two commands: Engine::trim gives its memory back to the system
};

class Arena {
 public:
  static int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }  // a cache line, a zmm register, an AMX tile row

  // Reserves bytes under an item's name; the offset is a multiple of 64. Before commit() only.
  int64_t reserve(const std::string& item, int64_t bytes);

  // Takes at least total_bytes() of memory; a surplus belongs to the last item.
  void commit(Memory memory);

  // Addresses for the arguments of operations. Only who owns the memory, a backend, reads or writes there.
  void* at(int64_t offset) const { return at<char>(offset); }
  template <class T>
  T* at(int64_t offset) const { return reinterpret_cast<T*>(static_cast<char*>(memory_.data.get()) + offset); }

  int64_t total_bytes() const { return total_; }
  const std::vector<MemoryItem>& items() const { return items_; }

 private:
  Memory memory_;
  int64_t total_ = 0;
  std::vector<MemoryItem> items_;
};

}  // namespace lowrank
