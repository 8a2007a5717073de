#include "ops/backends.h"

#include "cpu/cpu.h"

namespace lowrank {

std::unique_ptr<Backend> make_backend(int threads) { return make_cpu_backend(threads, cpu_default_instruction_set()); }

int64_t workspace_bytes(const OpLimits& limits, int threads) {
  return cpu_workspace_bytes(limits, threads, cpu_default_instruction_set());
}

MemoryPlace memory_place() { return MemoryPlace::host; }

Processor processor() { return {cpu_default_instruction_set(), cpu_instruction_sets()}; }

}  // namespace lowrank
