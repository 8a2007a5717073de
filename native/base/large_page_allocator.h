// Standard containers whose elements lie in large pages. Arrays of several containers lie side by side: many arrays are read
// one after the other, and none is as large as a page.
#pragma once
#include <cstddef>
#include <new>
#include <vector>

namespace lowrank {

// Any thread may call these. Error std::bad_alloc. Small arrays come from the heap.
void* take_from_large_pages(size_t bytes);
void give_to_large_pages(void* p, size_t bytes) noexcept;

template <class T>
struct LargePageAllocator {
  using value_type = T;
  LargePageAllocator() = default;
  template <class U>
  LargePageAllocator(const LargePageAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(take_from_large_pages(n * sizeof(T))); }
  void deallocate(T* p, size_t n) noexcept { give_to_large_pages(p, n * sizeof(T)); }
  // A new array's elements have no value: their first writers, often several threads, take its pages.
  template <class U>
  void construct(U* p) noexcept {
    ::new (static_cast<void*>(p)) U;
  }
  bool operator==(const LargePageAllocator&) const { return true; }
};

template <class T>
using LargePageVector = std::vector<T, LargePageAllocator<T>>;

}  // namespace lowrank
