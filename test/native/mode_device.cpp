// The cases on a device against the slow twin. The operands lie in memory that both read; weights are copied, as an engine does.
#include <cstdio>
#include <deque>
#include <map>

#include "bounds.h"
#include "modes.h"
#include "ref/ref_backend.h"

namespace lowrank::test {

namespace {

Weight here(Backend& b, const Weight& w) { return w.data ? b.resident(w) : w; }

// A backend that takes weights as they lie in the host's memory.
class WithWeights final : public HostBackend {
 public:
  explicit WithWeights(Backend& inner) : inner_(inner) {}
  std::string name() const override { return inner_.name(); }
  int64_t workspace_bytes(const OpLimits& l) const override { return inner_.workspace_bytes(l); }

 private:
  void do_set_workspace(const OpLimits& l, void* memory) override { inner_.set_workspace(l, memory); }
  template <class Args>
  Args with_weights(Args a) {
    if constexpr (requires { a.table; }) a.table = here(inner_, a.table);
    if constexpr (requires { a.w.format; }) a.w = here(inner_, a.w);
    return a;
  }
  LinearBwdArgs with_weights(LinearBwdArgs a) {
    a.w = here(inner_, a.w);
    if (a.also) a.also = &others_.emplace_back(with_weights(*a.also));
    return a;
  }
#define LOWRANK_OP(operation, Args) \
  void do_##operation(const Args& a) override { inner_.operation(with_weights(a)); }
#include "ops/operations.inc"

  Backend& inner_;
  std::deque<LinearBwdArgs> others_;
};

// A product of bf16 or f16 reads both operands in it.
double operand_error(DType act) { return act == DType::f32 ? 0 : unit(act); }

}  // namespace

void run_device(const Options& o, Report& report) {
  const DevicePlugin& plugin = open_plugin(o.plugin.empty() ? LOWRANK_EMULATED_PLUGIN : o.plugin);
  const Devices found = plugin.devices();
  if (found.found.empty()) {
    std::printf("device: skipped: %s\n", found.missing.c_str());
    return;
  }
  set_test_memory(plugin.shared_memory);
  // The emulation takes a part of the cases: each sweep has many neighbours. A named operation has all of its cases.
  const bool is_emulated = found.found[0].description.find("emulation") != std::string::npos;
  const int stride = !is_emulated || !o.op.empty() || !o.filter.empty() ? 1 : o.quick ? 15 : 5;
  const auto op_work = [](const Case& c) { return operation(c.op).work(c); };
  {
    RefBackend ref;
    std::map<std::string, double> worst;
    std::unique_ptr<Backend> backend;
    int64_t number = 0, ran = 0;
    for (const Case& c : selected(all_cases(), o)) {
      if (c.seed % uint64_t(stride) != 0 || (is_emulated && (c.heavy || op_work(c) > 2e6)) || !o.mine(number++)) continue;
      if ((c.op.starts_with("attention") && c.dropout.active()) || c.replaced > 0) continue;  // refused there
      if (ran++ % 256 == 0) backend = plugin.make(0);  // copies of weights go with it
      WithWeights device(*backend);
      const Operation& op = operation(c.op);
      Slots slots;
      op.define(c, slots);
      Memory twin(slots, Memory::Kind::twin), tested(slots, Memory::Kind::tested);
      op.call(c, ref, twin);
      Bounds bounds;
      op.bound(c, {.operand = operand_error(c.act)}, twin, slots, bounds);
      const OpLimits limits = limits_of(c);
      const int64_t bytes = device.workspace_bytes(limits);
      const Guarded workspace(1, 1, bytes, bytes, 0);  // full of NaN
      tested.reset();
      std::string wrong;
      try {
        device.set_workspace(limits, workspace.data());
        op.call(c, device, tested);
        double waited = 0;
        backend->download(&tested.scalar, sizeof waited, &waited);
        wrong = compare(slots, twin, tested, bounds);
        if (wrong.empty() && !workspace.damage().empty()) wrong = "workspace: written " + workspace.damage();
      } catch (const Error& e) {
        wrong = e.code + ": " + e.what();
      }
      report.expect(wrong.empty(), "device [" + backend->name() + "] " + c.name(), wrong);
      double& w = worst[c.op + " " + dtype_name(c.act)];
      if (o.worst && wrong.empty()) w = std::max(w, worst_ratio(slots, twin, tested, bounds));
    }
    for (const auto& [what, ratio] : worst) {
      if (o.worst) std::printf("%-22s worst element at %.3f of its bound\n", what.c_str(), ratio);
    }
  }
  set_test_memory(nullptr);
  if ((o.op.empty() && o.filter.empty()) || o.op == "training") test_device_training(plugin, o, report);
}

}  // namespace lowrank::test
