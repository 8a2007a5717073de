// A backend: the memory of one device and the operations of operations.inc on it. Every backend implements all of them; ref/ is the slow twin.
#pragma once
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "group/reducer.h"
#include "ops/arguments.h"
#include "ops/checks.h"
#include "ops/flop.h"

namespace lowrank {

class Group;

// What copies beside the operations are about (Backend::copy).
enum class Lane { checkpoints, embedding };
constexpr int kLanes = 2;

// Is told of each operation, for a profile.
class Observer {
 public:
  virtual ~Observer() = default;
  // Names the next linears, such as "q_proj".
  virtual void about(const std::string& modules) = 0;
  virtual void begin() = 0;
  // @param flop multiply-adds of the products, twice
  virtual void end(const char* operation, double flop) = 0;
};

// What sums values in a backend's memory over ranks.
struct DeviceSums {
  std::unique_ptr<Reducer> reducer;  // null: there is none, and sums are made in the host's memory
  std::string about;                 // the engine that it uses, such as "NCCL 2.27.3"; or why there is none. In words, or empty
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // such as "cpu/avx512bf16"

  // At least `bytes` of zero-filled memory, 64-byte aligned, for the arguments of operations. Nothing outside the backend reads or
  // writes there. Error E_MEMORY.
  virtual Memory allocate(int64_t bytes) = 0;
  // The same of the host's memory, for arguments that lie with the host: operations read and write it in their order, and more slowly.
  virtual Memory allocate_host(int64_t bytes) { return allocate(bytes); }
  // Of such memory: nothing of it is read before it is written again, and nothing uses it now. The system may have it until then.
  virtual void trim(void*, int64_t /*bytes*/) {}
  // Between the host and such memory, in order with the operations; both are done when the call returns.
  virtual void upload(const void* host, int64_t bytes, void* to) = 0;
  virtual void download(const void* from, int64_t bytes, void* host) = 0;

  // Copies between memory of allocate() and of allocate_host(), beside the operations: one after the other, in the order of the calls. One begins when
  // what was enqueued before its lane's last release() is done, and what is enqueued after an acquire() waits for the lane's copies. A backend
  // whose copies are done when the call returns leaves the rest empty.
  virtual void copy(Lane, const void* from, int64_t bytes, void* to) { upload(from, bytes, to); }
  virtual void release(Lane) {}
  virtual void acquire(Lane) {}
  // The host waits for the lane's copies.
  virtual void wait(Lane) {}

  // Frozen weights of the host where operations read them: the same address, or a copy that lives as long as the backend. It may have room for an adapter's
  // columns behind the rows.
  virtual Weight resident(const Weight&, const AdapterColumns&) = 0;
  virtual const float* resident(const float* values, int64_t n) = 0;

  // Bytes of scratch memory (64-byte aligned) that operations within these bounds need, and the memory itself: set before
  // the first operation, where a backend needs any.
  virtual int64_t workspace_bytes(const OpLimits&) const = 0;
  void set_workspace(const OpLimits& limits, void* memory) {
    limits_ = limits;
    do_set_workspace(limits, memory);
  }

  // Its own way to the ranks of the group, all of which call this. It ends before the group. Error E_GROUP
  virtual DeviceSums join(Group&) { return {}; }

  // Calls `enqueue`, of whose operations nothing runs, for the choices (plans()) that they need, and others on fewer rows: such passes then choose
  // nothing any more. A backend without choices leaves the call out.
  virtual void plan(const std::function<void()>&) {}

  // Calls `enqueue`, whose operations and their arguments follow from the key: what differs between calls they read from a Varying. A backend may
  // repeat what it enqueued for the key before, to the same bits, and leave the call out. Other buffers (set_workspace) end that.
  using RepeatKey = std::vector<int64_t>;
  virtual void repeat(const RepeatKey&, const std::function<void()>& enqueue) { enqueue(); }
  // Whether operations take a Varying's address.
  virtual bool reads_varying() const { return false; }
  // Calls that were left out so far; and the most kernels and copies that a call has which is kept.
  virtual int64_t repeated() const { return 0; }
  virtual int64_t largest_recording() const { return 0; }

  // Says which rows operations will read after linears whose weights have `beside` bytes, in that order; each has no gaps between its rows. A backend
  // may ask its memory for them meanwhile.
  virtual void will_read(std::span<const Mat>, int64_t /*beside*/) {}

  // The choices that decide a device's last bits beside its operations, as text for a checkpoint; none: empty. take_plans(): the same choices from
  // now on; returns why that cannot be, in words, or nothing.
  virtual std::string plans() const { return ""; }
  virtual std::string take_plans(const std::string&) { return ""; }

  // Null: none.
  Observer* observe(Observer* observer) { return std::exchange(observer_, observer); }  // the one before
  bool observed() const { return observer_ != nullptr; }
  void about(const std::string& modules) {
    if (observer_) observer_->about(modules);
  }

  // The operations: arguments are checked, E_INTERNAL where they are wrong, and the observer is told. Both happen here and in
  // no backend.
#define LOWRANK_OP(operation, Args)                        \
  void operation(const Args& a) {                          \
    check_##operation(a, limits_ ? &*limits_ : nullptr);   \
    const Observed observed(*this, #operation, a);         \
    do_##operation(a);                                     \
  }
#include "ops/operations.inc"

  // attention_fwd of texts whose keys and values lie apart, each of one sequence.
  void attention_fwd_of_each(std::span<const AttentionFwdArgs> texts) {
    for (const AttentionFwdArgs& a : texts) check_attention_fwd(a, limits_ ? &*limits_ : nullptr);
    const Observed observed(*this, "attention_fwd", texts);
    do_attention_fwd_of_each(texts);
  }

 protected:
  virtual void do_attention_fwd_of_each(std::span<const AttentionFwdArgs> texts) {
    for (const AttentionFwdArgs& a : texts) do_attention_fwd(a);
  }
  virtual void do_set_workspace(const OpLimits&, void* memory) = 0;
#define LOWRANK_OP(operation, Args) virtual void do_##operation(const Args&) = 0;
#include "ops/operations.inc"

 private:
  // Observes from here to the end of the operation, also where it throws.
  class Observed {
   public:
    template <class Args>
    Observed(Backend& backend, const char* operation, const Args& a) : observer_(backend.observer_), operation_(operation) {
      if (!observer_) return;
      flop_ = backend.count(a);
      observer_->begin();
    }
    ~Observed() {
      if (observer_) observer_->end(operation_, flop_);
    }
    Observed(const Observed&) = delete;
    Observed& operator=(const Observed&) = delete;

   private:
    Observer* observer_;
    const char* operation_;
    double flop_ = 0;
  };

  // flop() reads offsets of sequences, which lie with the backend.
  template <class Args>
  double count(Args a) {
    if constexpr (requires { a[0].shape; }) {
      double sum = 0;
      for (const auto& one : a) sum += count(one);
      return sum;
    } else if constexpr (requires { a.shape.q_offsets; }) {
      std::vector<int32_t> offsets[2];
      const int32_t** const at[] = {&a.shape.q_offsets, &a.shape.kv_offsets};
      for (size_t i = 0; i < 2; i++) {
        offsets[i].resize(size_t(a.shape.sequences) + 1);
        download(*at[i], int64_t(offsets[i].size() * sizeof(int32_t)), offsets[i].data());
        *at[i] = offsets[i].data();
      }
      return flop(a);
    } else {
      return flop(a);
    }
  }

  std::optional<OpLimits> limits_;
  Observer* observer_ = nullptr;
};

// Backends whose memory is this process's.
class HostBackend : public Backend {
 public:
  Weight resident(const Weight& w, const AdapterColumns&) final { return w; }
  const float* resident(const float* values, int64_t) final { return values; }
  Memory allocate(int64_t bytes) final { return host_memory(bytes); }
  void trim(void* at, int64_t bytes) final { drop_pages(at, bytes); }
  void upload(const void* host, int64_t bytes, void* to) final { std::copy_n(static_cast<const char*>(host), bytes, static_cast<char*>(to)); }
  void download(const void* from, int64_t bytes, void* host) final { std::copy_n(static_cast<const char*>(from), bytes, static_cast<char*>(host)); }
};

// A part of a backend's memory, for its owner to hand out: it is read and written through the backend only.
class Buffer {
 public:
  Buffer(Backend& backend, void* at) : backend_(&backend), at_(static_cast<char*>(at)) {}
  void read(int64_t offset, int64_t bytes, void* host) const { backend_->download(at_ + offset, bytes, host); }
  void write(int64_t offset, int64_t bytes, const void* host) const { backend_->upload(host, bytes, at_ + offset); }

 private:
  Backend* backend_;
  char* at_;
};

}  // namespace lowrank
