// One block of memory, wherever it lies: this process's or a device's.
#pragma once
#include <cstdint>
#include <memory>

namespace lowrank {

struct Memory {
  std::shared_ptr<void> data;  // an address for the arguments of operations; the memory goes with its last owner
  int64_t bytes = 0;
};

// At least `bytes` of this process's memory: zero-filled, in large pages. Error E_MEMORY where the system refuses.
Memory host_memory(int64_t bytes);

// Gives the whole pages between these addresses of such memory back to the system. They are zero-filled when they are touched again.
void drop_pages(void* begin, int64_t bytes);

}  // namespace lowrank
