// Memory of this process in large pages, where the system grants them. They have fewer misses of the TLB; each miss is
// dear in a virtual machine.
#pragma once
#include <cstdint>

namespace lowrank {

constexpr int64_t kLargePage = 2 << 20;

// Whether the system may grant them to memory that asks for them.
bool has_large_pages();

// Zero-filled anonymous memory that begins at a large page, of whole large pages; touched pages alone take memory.
class LargePages {
 public:
  LargePages() = default;
  explicit LargePages(int64_t bytes);  // data() is null where the system refuses
  ~LargePages();
  LargePages(LargePages&&) noexcept;
  LargePages& operator=(LargePages&&) noexcept;

  char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

  // Puts the memory, read-only from then on, in the place of other mapped pages, all of it at once for whoever reads there.
  // It belongs to them then. False, and nothing changes, where the system refuses. `place` begins at a large page.
  bool move_to(void* place);

 private:
  char* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace lowrank
