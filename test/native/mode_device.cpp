// The cases on a device against the slow twin. The operands lie in memory that both read; weights are copied, as an engine does.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>

#include "bounds.h"
#include "modes.h"
#include "ref/ref_backend.h"
#include "runners.h"

namespace lowrank::test {

namespace {

Weight here(Backend& b, const Weight& w, const Lora* lora = nullptr) { return w.data ? b.resident(w, {.rank = lora ? lora->rank : 0, .same_x = true}) : w; }

// A backend that takes weights as they lie in the host's memory.
class WithWeights final : public HostBackend {
 public:
  explicit WithWeights(Backend& inner) : inner_(inner) {}
  std::string name() const override { return inner_.name(); }
  int64_t workspace_bytes(const OpLimits& l) const override { return inner_.workspace_bytes(l); }

  // Streams, offsets and scales are read from a Varying, so that the results are the same.
  bool varies = false;

 private:
  void do_set_workspace(const OpLimits& l, void* memory) override { inner_.set_workspace(l, memory); }
  template <class Args>
  Args with_weights(Args a) {
    if constexpr (requires { a.table; }) a.table = here(inner_, a.table);
    if constexpr (std::is_same_v<Args, LinearFwdArgs>) a.w = here(inner_, a.w, a.lora);
    else if constexpr (std::is_same_v<Args, RowNormsArgs>) a.w = here(inner_, a.w, &a.lora);
    else if constexpr (requires { a.w.format; }) a.w = here(inner_, a.w);
    if (!varies) return a;
    if constexpr (requires { a.dropout; }) a.dropout = varying(a.dropout);
    if constexpr (requires { a.shape.dropout; }) a.shape.dropout = varying(a.shape.dropout);
    if constexpr (requires { a.lora->dropout; }) a.lora = varying(a.lora);
    if constexpr (requires { a.loss_scale; }) {
      a.varying = varying_;
      a.loss_scale /= varying_->loss_scale;
    }
    if constexpr (std::is_same_v<Args, NoiseArgs>) {
      varying_->noise = a.size;
      a.size = 0;
      a.stream -= varying_->rng_stream;
      a.per_token = 11;
      a.offset -= varying_->tokens * a.per_token;
      a.varying = varying_;
    }
    return a;
  }
  LinearBwdArgs with_weights(LinearBwdArgs a) {
    a.w = here(inner_, a.w, a.lora);
    if (varies) a.lora = varying(a.lora);
    if (a.also) a.also = &others_.emplace_back(with_weights(*a.also));
    return a;
  }
  Dropout varying(Dropout d) const {
    if (!d.active()) return d;
    d.per_stream = 7;
    d.per_token = 11;
    d.per_read = 13;
    d.varying = varying_;
    const Dropout moved = d.now();
    d.stream -= moved.stream - d.stream;
    d.offset -= moved.offset - d.offset;
    return d;
  }
  const Lora* varying(const Lora* lora) {
    if (!lora) return nullptr;
    Lora& l = loras_.emplace_back(*lora);
    l.dropout = varying(l.dropout);
    return &l;
  }
#define LOWRANK_OP(operation, Args)              \
  void do_##operation(const Args& a) override {  \
    inner_.operation(with_weights(a));           \
    wait();                                      \
  }
#include "ops/operations.inc"

  // The host reads the results.
  void wait() const {
    double waited = 0;
    inner_.download(&varying_->noise, sizeof varying_->noise, &waited);
  }

  Backend& inner_;
  std::deque<LinearBwdArgs> others_;
  std::deque<Lora> loras_;
  const std::shared_ptr<void> numbers_ = test_memory(sizeof(Varying));
  Varying* const varying_ = new (numbers_.get()) Varying{.rng_stream = 3, .tokens = 5, .read = 2, .loss_scale = 4};
};

// Sums of codes are whole numbers: where nothing is added to them, the results have the processor's bits.
void test_codes(const DevicePlugin& plugin, Report& report) {
  for (const DType act : kActs) {
    for (const int64_t in : {608, 603}) {
      Case c;
      c.op = "linear_fwd";
      c.act = act;
      c.rows = 33;
      c.in = in;
      c.features = 68;
      c.stored = {.format = Format::i8, .threshold = 2};
      c.seed = 7;
      const Operation& op = operation(c.op);
      Slots slots;
      op.define(c, slots);
      Memory expected(slots, Memory::Kind::tested), found(slots, Memory::Kind::tested);
      op.call(c, Runner(*real_sets("").front(), 1).prepare(limits_of(c), true), expected);
      const std::unique_ptr<Backend> backend = plugin.make(0);
      WithWeights device(*backend);
      const int64_t bytes = device.workspace_bytes(limits_of(c));
      const Guarded workspace(1, 1, bytes, bytes, 0);
      device.set_workspace(limits_of(c), workspace.data());
      op.call(c, device, found);
      report.expect(std::memcmp(expected.f32("y"), found.f32("y"), size_t(c.rows * c.features) * sizeof(float)) == 0, "device: LLM.int8 has the processor's bits, " + c.name());
    }
  }
}

constexpr const char *kF32Sums = "LOWRANK_CUDA_F32_SUMS", *kBordered = "LOWRANK_CUDA_BORDERED", *kAttention = "LOWRANK_CUDA_ATTENTION", *kDecoded = "LOWRANK_CUDA_DECODED";

// In neither form the adapter's term is rounded: linears that cannot be bordered have sums in f32.
std::unique_ptr<Backend> make_in_form(const DevicePlugin& plugin, bool bordered) {
  const InForm form(bordered, true);
  return plugin.make(0);
}

// A product of bf16 or f16 reads both operands in it.
double operand_error(DType act) { return act == DType::f32 ? 0 : unit(act); }

}  // namespace

InForm::InForm(bool bordered, bool sums_in_f32) {
  setenv(kBordered, bordered ? "on" : "off", 1);
  setenv(kF32Sums, sums_in_f32 ? "on" : "off", 1);
}

InForm::~InForm() {
  unsetenv(kBordered);
  unsetenv(kF32Sums);
}

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
    const auto try_case = [&](const Case& c, Backend& backend, const Arithmetic& arithmetic, const char* how) {
      WithWeights device(backend);
      device.varies = c.seed % 2 == 0;
      const Operation& op = operation(c.op);
      Slots slots;
      op.define(c, slots);
      Memory twin(slots, Memory::Kind::twin), tested(slots, Memory::Kind::tested);
      op.call(c, ref, twin);
      Bounds bounds;
      op.bound(c, arithmetic, twin, slots, bounds);
      const OpLimits limits = limits_of(c);
      const int64_t bytes = device.workspace_bytes(limits);
      const Guarded workspace(1, 1, bytes, bytes, 0);  // full of NaN
      tested.reset();
      std::string wrong;
      try {
        device.set_workspace(limits, workspace.data());
        op.call(c, device, tested);
        wrong = compare(slots, twin, tested, bounds);
        if (wrong.empty() && !workspace.damage().empty()) wrong = "workspace: written " + workspace.damage();
      } catch (const Error& e) {
        wrong = e.code + ": " + e.what();
      }
      report.expect(wrong.empty(), "device [" + backend.name() + "] " + how + c.name(), wrong);
      double& w = worst[c.op + " " + dtype_name(c.act)];
      if (o.worst && wrong.empty()) w = std::max(w, worst_ratio(slots, twin, tested, bounds));
    };
    std::unique_ptr<Backend> backend, in_f32, bordered;
    int64_t number = 0, ran = 0;
    for (const Case& c : selected(all_cases(), o)) {
      if (c.seed % uint64_t(stride) != 0 || (is_emulated && (c.heavy || op_work(c) > 2e6)) || !o.mine(number++)) continue;
      if (c.replaced > 0 || c.stored.gradients != GradientCodes::none) continue;  // refused there
      if (ran++ % 256 == 0) {  // copies of weights go with them
        in_f32 = make_in_form(plugin, false);
        bordered = make_in_form(plugin, true);
        backend = plugin.make(0);
      }
      const double operand = operand_error(c.act);
      const Arithmetic arithmetic = {.operand = operand, .term = operand, .least = c.act == DType::f32 ? 0 : smallest(c.act)};
      const bool is_attention = c.op.starts_with("attention"), on_tiles = is_attention && c.act == DType::bf16 && c.head_dim % 8 == 0;
      // Heads begin at 16 bytes: an engine has no others.
      if (!on_tiles || c.ld_pad % 8 == 0) try_case(c, *backend, arithmetic, "");
      if (is_attention) {
        setenv(kAttention, on_tiles && c.seed % 3 != 0 ? "products" : "1", 1);  // with 1 byte for scores: one group and 16 queries at a time
        try_case(c, *backend, arithmetic, "products: ");
        unsetenv(kAttention);
      }
      // Half or a third of a weight is decoded at a time.
      const int64_t parts = 1 + int64_t(c.seed / 15 % 3);
      const bool is_decoded = limits_of(c).decoded > 0 && c.features >= parts && (c.op.starts_with("linear") || c.op == "head");
      const std::string part = std::to_string((c.features + parts - 1) / parts * c.in);
      const auto decode_in_parts = [&](Backend& b, const Arithmetic& how, const char* form) {
        if (!is_decoded || parts == 1) return;
        setenv(kDecoded, part.c_str(), 1);
        try_case(c, b, how, form);
        unsetenv(kDecoded);
      };
      decode_in_parts(*backend, arithmetic, "decoded in parts: ");
      if ((!c.op.starts_with("linear") && c.op != "row_norms") || c.rank == 0) continue;
      if (c.op != "row_norms" && c.out != DType::f32) try_case(c, *in_f32, {.operand = operand}, "sums in f32: ");
      if (c.stored.threshold > 0) continue;
      try_case(c, *bordered, {.operand = operand}, "bordered: ");
      if (c.op == "linear_fwd") decode_in_parts(*bordered, {.operand = operand}, "bordered, decoded in parts: ");
    }
    for (const auto& [what, ratio] : worst) {
      if (o.worst) std::printf("%-22s worst element at %.3f of its bound\n", what.c_str(), ratio);
    }
  }
  if (o.filter.empty() && (o.op.empty() || o.op == "adamw") && o.mine(0)) test_device_moments(*plugin.make(0), report);
  if (o.filter.empty() && (o.op.empty() || o.op == "linear_fwd") && o.mine(1)) test_codes(plugin, report);
  set_test_memory(nullptr);
  if ((o.op.empty() && o.filter.empty()) || o.op == "training") test_device_training(plugin, o, report);
  if ((o.op.empty() && o.filter.empty()) || o.op == "repeats") test_device_repeats(plugin, o, report);
  if ((o.op.empty() && o.filter.empty()) || o.op == "copies") test_device_copies(plugin, o, report);
}

}  // namespace lowrank::test
