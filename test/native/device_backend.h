// The CPU backend behind memory that only its operations may touch: as a device's, host code that reads or writes there ends with SIGSEGV, and an
// operation whose arguments point into the host's memory is an error.
#pragma once
#include <limits>
#include <memory>
#include <vector>

#include "cpu/cpu.h"
#include "ops/backend.h"

namespace lowrank::test {

class DeviceBackend final : public Backend {
 public:
  explicit DeviceBackend(int threads) : inner_(make_cpu_backend(threads, cpu_default_instruction_set())) {}

  std::string name() const override { return "device of " + inner_->name(); }
  Memory allocate(int64_t bytes) override;
  void upload(const void* host, int64_t bytes, void* to) override;
  void download(const void* from, int64_t bytes, void* host) override;
  Weight resident(const Weight&, const AdapterColumns&) override;  // plain ones
  const float* resident(const float* values, int64_t n) override;
  int64_t workspace_bytes(const OpLimits& l) const override { return inner_->workspace_bytes(l); }

  // Allocations of more are refused.
  int64_t most_bytes = std::numeric_limits<int64_t>::max();

 private:
  struct Block {
    char* data;
    size_t bytes;
  };
  // Makes the memory accessible as long as it lives.
  class Open {
   public:
    explicit Open(DeviceBackend& b) : backend_(b) { backend_.protect(true); }
    ~Open() { backend_.protect(false); }

   private:
    DeviceBackend& backend_;
  };

  void protect(bool accessible);
  void expect_here(const void* p, const char* operation) const;
  const void* copy(const void* host, int64_t bytes);

  void do_set_workspace(const OpLimits& limits, void* memory) override { inner_->set_workspace(limits, memory); }
#define LOWRANK_OP(operation, Args) void do_##operation(const Args&) override;
#include "ops/operations.inc"

  std::unique_ptr<Backend> inner_;
  std::vector<Block> blocks_;
  std::vector<lowrank::Memory> frozen_;
};

}  // namespace lowrank::test
