#include "device_backend.h"

#include <sys/mman.h>

#include <cstring>

#include "base/error.h"

namespace lowrank::test {

namespace {

// Calls f with every address of an operation's arguments.
template <class F, class... Fields>
void each(F&& f, const Fields&... fields) {
  const auto one = [&](const auto& x) {
    using T = std::decay_t<decltype(x)>;
    if constexpr (std::is_same_v<T, Mat>) {
      f(x.data);
    } else if constexpr (std::is_same_v<T, Heads>) {
      f(x.mat.data);
    } else if constexpr (std::is_same_v<T, Weight>) {
      f(x.data);
    } else if constexpr (std::is_same_v<T, const Lora*>) {
      if (!x) return;
      for (const void* p : {static_cast<const void*>(x->a), static_cast<const void*>(x->b), static_cast<const void*>(x->da), static_cast<const void*>(x->db)}) f(p);
    } else if constexpr (std::is_same_v<T, AttentionShape>) {
      f(x.q_offsets);
      f(x.kv_offsets);
    } else {
      f(x);
    }
  };
  (one(fields), ...);
}

template <class F>
void pointers(const EmbeddingArgs& a, F&& f) { each(f, a.ids, a.table, a.x); }
template <class F>
void pointers(const NormFwdArgs& a, F&& f) { each(f, a.x, a.w, a.h, a.rstd, a.saved, a.b); }
template <class F>
void pointers(const NormApplyArgs& a, F&& f) { each(f, a.x, a.w, a.rstd, a.h, a.b); }
template <class F>
void pointers(const NormBwdArgs& a, F&& f) { each(f, a.dh, a.x, a.w, a.rstd, a.dx, a.rounded); }
template <class F>
void pointers(const InnerNormFwdArgs& a, F&& f) { each(f, a.x, a.w, a.y, a.rstd); }
template <class F>
void pointers(const InnerNormBwdArgs& a, F&& f) { each(f, a.dy, a.x, a.w, a.rstd, a.dx); }
template <class F>
void pointers(const SoftCapArgs& a, F&& f) { each(f, a.x); }
template <class F>
void pointers(const LinearFwdArgs& a, F&& f) { each(f, a.x, a.w, a.bias, a.lora, a.u, a.y, a.gate, a.a); }
template <class F>
void pointers(const LinearBwdArgs& a, F&& f) {
  each(f, a.dy, a.x, a.w, a.lora, a.u, a.dx, a.gate, a.up);
  if (a.also) pointers(*a.also, f);
}
template <class F>
void pointers(const ColumnsFwdArgs& a, F&& f) { each(f, a.z, a.factor, a.bias, a.y); }
template <class F>
void pointers(const ColumnsBwdArgs& a, F&& f) { each(f, a.dy, a.z, a.factor, a.norm, a.dmagnitude, a.dbias); }
template <class F>
void pointers(const RowNormsArgs& a, F&& f) { each(f, a.w, &a.lora, a.magnitude, a.norm, a.factor); }
template <class F>
void pointers(const EmbeddingBwdArgs& a, F&& f) { each(f, a.ids, a.dx, a.dtable); }
template <class F>
void pointers(const DropoutArgs& a, F&& f) { each(f, a.x, a.y); }
template <class F>
void pointers(const NoiseArgs& a, F&& f) { each(f, a.x); }
template <class F>
void pointers(const RopeArgs& a, F&& f) { each(f, a.x, a.positions, a.cos, a.sin); }
template <class F>
void pointers(const AttentionFwdArgs& a, F&& f) { each(f, a.shape, a.q, a.k, a.v, a.o, a.lse); }
template <class F>
void pointers(const AttentionBwdArgs& a, F&& f) { each(f, a.shape, a.q, a.k, a.v, a.o, a.d_o, a.lse, a.dq, a.dk, a.dv); }
template <class F>
void pointers(const GluFwdArgs& a, F&& f) { each(f, a.g, a.u, a.a); }
template <class F>
void pointers(const GluBwdArgs& a, F&& f) { each(f, a.da, a.g, a.u, a.dg, a.du); }
template <class F>
void pointers(const HeadArgs& a, F&& f) { each(f, a.x, a.w, a.labels, a.dx, a.loss_sum, a.dynamic_scale, a.bias, a.dw, a.dbias, a.rows, a.row_ids, a.drows); }
template <class F>
void pointers(const DenseFwdArgs& a, F&& f) { each(f, a.x, a.w, a.bias, a.d, a.y); }
template <class F>
void pointers(const DenseBwdArgs& a, F&& f) { each(f, a.dy, a.x, a.d, a.w, a.dx, a.dw, a.dbias); }
template <class F>
void pointers(const LabelLossArgs& a, F&& f) { each(f, a.logits, a.labels, a.loss_sum, a.dynamic_scale); }
template <class F>
void pointers(const ZeroArgs& a, F&& f) { each(f, a.x); }
template <class F>
void pointers(const CastArgs& a, F&& f) { each(f, a.src, a.dst); }
template <class F>
void pointers(const GatherArgs& a, F&& f) { each(f, a.src, a.rows, a.dst); }
template <class F>
void pointers(const ScatterArgs& a, F&& f) { each(f, a.src, a.rows, a.dst); }
template <class F>
void pointers(const SampleArgs& a, F&& f) { each(f, a.logits, a.rows, a.tokens); }
template <class F>
void pointers(const ClipArgs& a, F&& f) { each(f, a.g, a.learning_rates, a.state); }
template <class F>
void pointers(const AdamWArgs& a, F&& f) { each(f, a.p, a.g, a.moments, a.parts, a.state); }

}  // namespace

#define LOWRANK_OP(operation, Args)                                        \
  void DeviceBackend::do_##operation(const Args& a) {                      \
    pointers(a, [&](const void* p) { expect_here(p, #operation); });       \
    const Open open(*this);                                                \
    inner_->operation(a);                                                  \
  }
#include "ops/operations.inc"

void DeviceBackend::expect_here(const void* p, const char* operation) const {
  if (!p) return;
  for (const Block& b : blocks_) {
    if (p >= b.data && p < b.data + b.bytes) return;
  }
  throw Error("E_INTERNAL", std::string(operation) + ": an argument lies in the host's memory.");
}

void DeviceBackend::protect(bool accessible) {
  for (const Block& b : blocks_) mprotect(b.data, b.bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
}

lowrank::Memory DeviceBackend::allocate(int64_t bytes) {
  if (bytes > most_bytes) throw Error("E_MEMORY", "refused");
  const size_t size = (size_t(std::max<int64_t>(bytes, 1)) + 4095) / 4096 * 4096;
  void* const p = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw Error("E_MEMORY", "mmap failed");
  blocks_.push_back({static_cast<char*>(p), size});
  const auto free = [this](void* data) {
    std::erase_if(blocks_, [&](const Block& b) {
      if (b.data == data) munmap(b.data, b.bytes);
      return b.data == data;
    });
  };
  return {std::shared_ptr<void>(p, free), int64_t(size)};
}

void DeviceBackend::upload(const void* host, int64_t bytes, void* to) {
  expect_here(to, "upload");
  const Open open(*this);
  std::copy_n(static_cast<const char*>(host), bytes, static_cast<char*>(to));
}

void DeviceBackend::download(const void* from, int64_t bytes, void* host) {
  expect_here(from, "download");
  const Open open(*this);
  std::copy_n(static_cast<const char*>(from), bytes, static_cast<char*>(host));
}

const void* DeviceBackend::copy(const void* host, int64_t bytes) {
  const lowrank::Memory& m = frozen_.emplace_back(allocate(bytes));
  upload(host, bytes, m.data.get());
  return m.data.get();
}

Weight DeviceBackend::resident(const Weight& w, const AdapterColumns&) {
  check(w.plain(), "plain weights only", "DeviceBackend");
  Weight here = w;
  here.data = copy(w.data, format_bytes(w.format, w.rows * w.cols));
  return here;
}

const float* DeviceBackend::resident(const float* values, int64_t n) { return static_cast<const float*>(copy(values, n * 4)); }

}  // namespace lowrank::test
