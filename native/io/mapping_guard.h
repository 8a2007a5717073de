// Keeps the process alive where a mapped file loses pages (cut short, or a disk that fails) while somebody reads them.
#pragma once
#include <cstddef>

namespace lowrank {

// Guards one mapping, from construction to destruction. Where a page of it is gone, a reader finds zeros from that page to the
// mapping's end, and the guard knows. Any thread may read, JavaScript's included. There is one handler of SIGBUS in the process, and
// every other SIGBUS is passed on to its earlier handler.
class MappingGuard {
 public:
  // prot: of the pages that stand in for lost ones. `begin` is a page's.
  MappingGuard(const void* begin, size_t bytes, int prot);
  ~MappingGuard();  // before the mapping goes
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;

  bool has_lost_pages() const;

 private:
  struct Entry;
  friend struct GuardedMappings;
  Entry* entry_;
};

}  // namespace lowrank
