#include "runners.h"

#include <cstring>

namespace lowrank::test {

namespace {

std::vector<const cpu::InstructionSet*> named(std::vector<const cpu::InstructionSet*> sets, const std::string& filter) {
  std::erase_if(sets, [&](const auto* set) { return std::string(set->name).find(filter) == std::string::npos; });
  return sets;
}

}  // namespace

std::vector<const cpu::InstructionSet*> real_sets(const std::string& filter, bool quick) {
  auto sets = named(cpu::usable_instruction_sets(), filter);
  if (quick) std::erase_if(sets, [](const auto* set) { return set != &cpu::kScalarSet && set != &cpu::kAvx2Set; });
  return sets;
}

std::vector<const cpu::InstructionSet*> emulated_sets(const std::string& filter, bool quick) {
  namespace emulated = cpu::emulated;
  if (quick) return named({&emulated::kAvx512Bf16Set, &emulated::kAvx512Fp16Set, &emulated::kAmxSet}, filter);
  return named({&emulated::kAvx2Set, &emulated::kAvx512Set, &emulated::kAvx512Bf16Set, &emulated::kAvx512Fp16Set, &emulated::kAmxSet}, filter);
}

Backend& Runner::prepare(const OpLimits& limits, bool fresh) {
  const int64_t bytes = cpu::round_up(backend_.workspace_bytes(limits), 64);
  if (bytes > capacity_) {
    capacity_ = bytes;
    workspace_ = Guarded();
    workspace_ = Guarded(1, 1, capacity_, capacity_, 0);
  }
  // At the end of the block: a write behind the workspace meets the guard.
  char* const memory = static_cast<char*>(workspace_.data()) + capacity_ - bytes;
  if (fresh) std::memset(memory, 0xff, size_t(bytes));
  backend_.set_workspace(limits, memory);
  return backend_;
}

}  // namespace lowrank::test
