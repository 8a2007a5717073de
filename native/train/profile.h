// A backend that times each operation of another one.
#pragma once
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ops/backend.h"

namespace lowrank {

// One call: what it was, when it began (seconds since the profile was made), how long it took, and its multiply-adds twice.
struct ProfileEvent {
  std::string name;
  double begin = 0, seconds = 0, flop = 0;
};

class ProfilingBackend final : public Backend {
 public:
  explicit ProfilingBackend(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

  // Without timing.
  Backend& inner() { return *backend_; }
  // What the next linears belong to, such as "q_proj".
  void set_module(const char* name) { module_ = name; }
  // Events since the last call; at most kMostEvents are kept.
  std::vector<ProfileEvent> take();

  std::string name() const override { return backend_->name(); }
  int64_t workspace_bytes(const OpLimits& l) const override { return backend_->workspace_bytes(l); }
  void set_workspace(const OpLimits& l, void* memory) override { backend_->set_workspace(l, memory); }

  void embedding_fwd(const EmbeddingArgs&) override;
  void norm_fwd(const NormFwdArgs&) override;
  void norm_apply(const NormApplyArgs&) override;
  void norm_bwd(const NormBwdArgs&) override;
  void linear_fwd(const LinearFwdArgs&) override;
  void linear_bwd(const LinearBwdArgs&) override;
  void rope(const RopeArgs&) override;
  void attention_fwd(const AttentionFwdArgs&) override;
  void attention_bwd(const AttentionBwdArgs&) override;
  void swiglu_fwd(const SwigluFwdArgs&) override;
  void swiglu_bwd(const SwigluBwdArgs&) override;
  void head(const HeadArgs&) override;
  void zero(const Mat&) override;
  void cast(const Mat& src, const Mat& dst) override;
  void gather_rows(const Mat& src, const int32_t* rows, const Mat& dst) override;
  void scatter_rows(const Mat& src, const int32_t* rows, const Mat& dst) override;
  void adamw(const AdamWArgs&) override;
  void adamw_8bit(const AdamW8bitArgs&) override;
  double sum_squares(const float* x, int64_t n) override;

 private:
  static constexpr size_t kMostEvents = 1 << 20;
  using Clock = std::chrono::steady_clock;

  template <class F>
  auto timed(const std::string& name, double flop, F&& call);

  std::unique_ptr<Backend> backend_;
  const char* module_ = "";
  const Clock::time_point start_ = Clock::now();
  std::vector<ProfileEvent> events_;
};

// FLOP/s of the backend's product at its best: 1024 x 1024 x 1024 random numbers in act, weights of the same dtype packed each time.
// They lie in `scratch` where that is large enough.
double matmul_peak(Backend&, DType act, const OpLimits& limits, std::span<char> scratch);

}  // namespace lowrank
