// The backends there are. Their one implementation, native/backends.cpp, alone names them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/arena.h"
#include "ops/backend.h"

namespace lowrank {

// A backend with `threads` threads. Error E_CPU where LOWRANK_CPU names an instruction set that is not there.
std::unique_ptr<Backend> make_backend(int threads);

// Backend::workspace_bytes of a backend with `threads` threads, without making one: no thread is started.
int64_t workspace_bytes(const OpLimits&, int threads);

// Where the memory of these backends lies, without one.
MemoryPlace memory_place();

struct Processor {
  std::string instruction_set;         // that backends use; error E_CPU as above
  std::vector<std::string> available;  // the slowest first
};
Processor processor();

}  // namespace lowrank
