// The same bits whatever the number of threads, and from real and emulated bf16 products.
#include <cstring>

#include "modes.h"
#include "runners.h"

namespace lowrank::test {

namespace {

// The outputs of a run as one string of bytes.
std::string bytes(const Slots& slots, const Memory& m) {
  std::string all(reinterpret_cast<const char*>(&m.scalar), sizeof m.scalar);
  for (const Slot& s : slots.all()) {
    if (s.role == Role::input) continue;
    const Mat x = m.mat(s.name);
    for (int64_t r = 0; r < x.rows; r++) all.append(x.row(r), size_t(x.cols * dtype_bytes(x.dtype)));
  }
  return all;
}

}  // namespace

void run_bits(const Options& o, Report& report) {
  std::vector<std::vector<std::unique_ptr<Runner>>> sets;
  for (const auto* set : real_sets(o.isa, o.quick)) {
    auto& runners = sets.emplace_back();
    for (const int threads : {1, 2, 3}) runners.push_back(std::make_unique<Runner>(*set, threads));
  }
  int64_t number = 0;
  for (const Case& c : selected(all_cases(), o)) {
    if (!o.mine(number++)) continue;
    const Operation& op = operation(c.op);
    Slots slots;
    op.define(c, slots);
    Memory memory(slots, Memory::Kind::tested);
    for (const auto& runners : sets) {
      std::string first;
      for (const auto& runner : runners) {
        memory.reset();
        const std::string label = "bits [" + runner->label() + "] " + c.name();
        try {
          op.call(c, runner->prepare(limits_of(c), false), memory);
        } catch (const Error& e) {
          report.fail(label, e.what());
          break;
        }
        const std::string result = bytes(slots, memory);
        if (first.empty()) first = result;
        else report.expect(result == first, label, "other bits than with 1 thread");
      }
    }
  }
  if (!o.op.empty() || !o.filter.empty()) return;
  for (const auto* real : real_sets(o.isa)) {
    if (!real->kernels->gemm_bf16) continue;
    for (const auto* emulated : emulated_sets(real->name)) {
      if (std::strcmp(emulated->kernels->isa, real->kernels->isa) == 0 && o.mine(number++)) test_same_bits(*real, *emulated, report);
    }
  }
}

}  // namespace lowrank::test
