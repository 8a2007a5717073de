// A matrix in memory of its own, with guard zones before and behind it and between its rows. Guards hold NaN in every
// dtype. A kernel that reads a guard spoils its result; a kernel that writes one is found afterwards. Under ASan both
// trap at once.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/memory.h"
#include "base/tensor.h"

namespace lowrank::test {

// Where all of it lies from now on: null for the heap, else memory that a device reads and writes, too.
void set_test_memory(lowrank::Memory (*allocate)(int64_t bytes));
// Such memory, 64-byte aligned.
std::shared_ptr<void> test_memory(int64_t bytes);

class Guarded {
 public:
  Guarded() = default;
  // The first element lies `offset` bytes behind a multiple of 64. Elements start as NaN, too.
  Guarded(int64_t element_bytes, int64_t rows, int64_t cols, int64_t ld, int64_t offset);
  ~Guarded();
  Guarded(Guarded&& other) noexcept { *this = static_cast<Guarded&&>(other); }
  Guarded& operator=(Guarded&& other) noexcept;

  void* data() const { return memory_ ? memory_ + first_ : nullptr; }
  // Where a guard was overwritten, in words; empty where none was.
  std::string damage() const;

 private:
  bool guarded(int64_t byte) const;  // counted from the first element

  std::shared_ptr<void> owner_;
  char* memory_ = nullptr;
  int64_t element_bytes_ = 0, rows_ = 0, cols_ = 0, ld_ = 0, first_ = 0, extent_ = 0, total_ = 0;
};

}  // namespace lowrank::test
