// What a GPU holds beside the memory that an engine allocates, for plans. docs/memory.md names the sources of the estimates.
#pragma once
#include <vector>

#include "cuda/switches.h"
#include "ops/backends.h"

namespace lowrank::cuda {

constexpr int64_t kProductWorkspace = int64_t(32) << 20;  // NVIDIA's advice for Hopper

// Recorded passes that are kept, and the kernels and copies (nodes) that they have together; one may have more.
constexpr int64_t kMostRecordings = 8, kMostNodes = 8192;
constexpr int64_t kNodeBytes = int64_t(64) << 10;

// Nodes of a recorded pass, at most.
int64_t recorded_nodes(const OpLimits&, const PassSize&, const Switches&);

std::vector<MemoryItem> device_items(const OpLimits&, const PassSize&, const Switches&);
// Bytes that an allocation takes beyond those that are asked for.
int64_t allocation_rest(int64_t bytes);

}  // namespace lowrank::cuda
