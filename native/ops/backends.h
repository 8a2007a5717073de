// The backends there are. Their one implementation, native/backends.cpp, alone names them. A device is "cpu", or the name and the number of
// another one, such as "cuda:0".
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/arena.h"
#include "ops/backend.h"

namespace lowrank {

// A backend; threads: of the host's. Error E_CPU where LOWRANK_CPU names an instruction set that is not there, E_DEVICE where the device cannot
// be used.
std::unique_ptr<Backend> make_backend(const std::string& device, int threads);

// Backend::workspace_bytes of such a backend, without making one: no thread is started, and the device need not be there.
int64_t workspace_bytes(const OpLimits&, const std::string& device, int threads);

// Elements of a row as Backend::resident() of such a backend keeps a plain weight (rows, cols) in act.
int64_t resident_columns(int64_t rows, int64_t cols, DType act, const AdapterColumns&, const std::string& device);

// A training pass: blocks and linears, and those of them that are computed again.
struct PassSize {
  int64_t tokens = 0, blocks = 0, linears = 0, again_blocks = 0, again_linears = 0;
};
// What such a backend holds beside the memory that is allocated, for plans: of a device alone.
std::vector<MemoryItem> device_items(const OpLimits&, const PassSize&, const std::string& device);
// Bytes that an allocation of it takes beyond those that are asked for.
int64_t allocation_rest(int64_t bytes, const std::string& device);

// Where the memory of these backends lies, without one.
MemoryPlace memory_place(const std::string& device);

struct Device {
  std::string name, description;
  int64_t memory = 0, free = 0;  // bytes
};
// The devices besides the processor; missing: why there are no others, in words.
struct Devices {
  std::vector<Device> found;
  std::string missing;
};
Devices devices();

struct Processor {
  std::string instruction_set;         // that backends use; error E_CPU as above
  std::vector<std::string> available;  // the slowest first
};
Processor processor();

}  // namespace lowrank
