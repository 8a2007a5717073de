// Every case on every instruction set, real or emulated, with 1 and 3 threads, against the slow twin.
#include <cstdio>
#include <map>

#include "bounds.h"
#include "modes.h"
#include "ref/ref_backend.h"
#include "runners.h"

namespace lowrank::test {

std::vector<Case> selected(const std::vector<Case>& all, const Options& o) {
  std::vector<Case> some;
  for (const Case& c : all) {
    if (!o.op.empty() && c.op.find(o.op) == std::string::npos) continue;
    if (c.name().find(o.filter) == std::string::npos) continue;
    // Sanitizers make everything several times slower.
    if (o.quick && (c.heavy || operation(c.op).work(c) > 2e6)) continue;
    some.push_back(c);
  }
  return some;
}

void run_twin(const Options& o, Report& report) {
  std::vector<Runner*> runners;
  std::vector<std::unique_ptr<Runner>> owned;
  const auto add = [&](const cpu::InstructionSet* set, int threads) {
    owned.push_back(std::make_unique<Runner>(*set, threads));
    runners.push_back(owned.back().get());
  };
  const auto real = real_sets(o.isa, o.quick), emulated = emulated_sets(o.isa, o.quick);
  for (const auto* sets : {&real, &emulated}) {
    for (const auto* set : *sets) {
      if (!o.quick) add(set, 1);
      add(set, 3);
    }
  }
  const size_t first_emulated = real.size() * (o.quick ? 1 : 2);

  std::map<std::string, double> worst;
  int64_t number = 0, ran = 0;
  RefBackend ref;
  for (const Case& c : selected(all_cases(), o)) {
    if (!o.mine(number++)) continue;
    const Operation& op = operation(c.op);
    Slots slots;
    op.define(c, slots);
    Memory twin(slots, Memory::Kind::twin), tested(slots, Memory::Kind::tested);
    op.call(c, ref, twin);
    Bounds plain, dots, chains;
    op.bound(c, {}, twin, slots, plain);
    if (c.act == DType::bf16) op.bound(c, {.operand = kBf16}, twin, slots, dots);
    if (c.act != DType::f32) op.bound(c, {.operand = kF16, .chains = true}, twin, slots, chains);
    const bool fresh = ran++ % 4 == 0;
    for (size_t i = 0; i < runners.size(); i++) {
      if (c.heavy && (i >= first_emulated || runners[i]->threads() == 1)) continue;
      if (o.few() && (c.seed / 8 + i) % 2 == 0) continue;  // every other set, in turn
      const std::string label = "twin [" + runners[i]->label() + "] " + c.name();
      const DType operands = runners[i]->operands(c.act);
      const Bounds& bounds = operands == DType::bf16 ? dots : operands == DType::f16 ? chains : plain;
      tested.reset();
      try {
        op.call(c, runners[i]->prepare(limits_of(c), fresh), tested);
      } catch (const Error& e) {
        report.fail(label, e.code + ": " + e.what());
        continue;
      }
      std::string wrong = compare(slots, twin, tested, bounds);
      if (wrong.empty() && fresh) {
        wrong = runners[i]->workspace_damage();
        if (!wrong.empty()) wrong = "workspace: written " + wrong;
      }
      if (wrong.empty()) report.pass();
      else report.fail(label, wrong);
      if (o.worst) {
        double& w = worst[c.op + " " + dtype_name(c.act)];
        w = std::max(w, worst_ratio(slots, twin, tested, bounds));
      }
    }
  }
  for (const auto& [what, ratio] : worst) std::printf("%-22s worst element at %.3f of its bound\n", what.c_str(), ratio);

  if (!o.filter.empty()) return;
  const auto on_every_set = [&](auto&& test) {
    for (const auto* sets : {&real, &emulated}) {
      for (const auto* set : *sets) {
        if (o.mine(number++)) test(*set);
      }
    }
  };
  if (std::string("linear_fwd").find(o.op) != std::string::npos) {
    on_every_set([&](const auto& set) {
      test_int8_goldens(set, report);
      test_int8_kernels(set, report);
    });
    // Beside AVX2 alone; its other kernels are those of avx2.
    const cpu::InstructionSet& avx2 = cpu::emulated::kAvx2Set;
    const cpu::InstructionSet vnni{"avx2 and VNNI (emulated)", avx2.kernels, avx2.rows, &cpu::emulated::kAvxVnniInt8};
    if (std::string(vnni.name).find(o.isa) != std::string::npos && o.mine(number++)) {
      test_int8_goldens(vnni, report);
      test_int8_kernels(vnni, report);
    }
  }
  if (!o.op.empty()) return;
  for (const auto test : {test_decoding, test_packing, test_f16_kernels, test_swiglu_products, test_row_kernels, test_moments}) {
    on_every_set([&](const auto& set) { test(set, report); });
  }
  on_every_set([&](const auto& set) { test_products(set, o, report); });
}

}  // namespace lowrank::test
