// One adapter of an engine: its parameters and, in training, their moments. Gradients are the engine's (gradients.h).
#pragma once
#include <optional>
#include <utility>

#include "base/arena.h"
#include "block/pass.h"
#include "group/sums.h"
#include "train/gradients.h"
#include "train/layout.h"
#include "train/moment_layout.h"

namespace lowrank {

// Most learning rates of a step, see ClipArgs.
constexpr size_t kMostRates = 64;

struct OptimizerOptions {
  // By how many steps were skipped since the state was last read: at least one, at most kMostRates.
  std::vector<float> learning_rates;
  float weight_decay = 0, max_grad_norm = 0, epsilon = 1e-8f;
  double beta1 = 0.9, beta2 = 0.999;
  double lora_plus_ratio = 1;  // LoRA+ (Hayou et al., 2024): factor of the learning rate of B and of vectors
  double loss_scale = 1;     // a factor that the gradients carry beside the state's; it is divided out
  double tokens = 1;         // learned tokens of the window, for the loss that is read
  int64_t growth_steps = 0;  // of a dynamic loss scale, as ClipArgs'
};

// Error E_OPTIONS.
void check_adapter_spec(const AdapterSpec&);
void check_optimizer_options(const OptimizerOptions&);

class AdapterSlot {
 public:
  AdapterSlot(Backend&, const ModelSpec&, const ModelWeights&, const AdapterSpec&, const EngineOptions&, Gradients&);
  // The items that one will hold, gradients apart.
  // @returns the bytes of those that are in use while first factors are made
  static int64_t plan(Arena&, const AdapterLayout&, const AdapterSpec&, const EngineOptions&);
  // Bytes of the host's memory that making its first factors takes at most, for a time.
  static int64_t initial_bytes(const AdapterLayout&, const AdapterSpec&, int64_t threads);

  const AdapterSpec& spec() const { return spec_; }
  const AdapterLayout& layout() const { return layout_; }
  // For a pass. Factors that follow from changed parameters are computed.
  Adapter view(const ModelWeights&);
  // The same for a micro-batch of its step, with gradients. Error E_STATE where another adapter's step is in progress.
  Adapter begin_step(const ModelWeights&);

  // Flat f32 buffers in the order of layout(); gradients and moments exist in training engines only (Error E_STATE).
  Buffer parameters() {
    has_factors_ = false;  // they may be written
    return buffer(offsets_.parameters);
  }
  Buffer gradients() const { return Buffer(backend_, gradients_at()); }
  // With 8-bit AdamW the moments lie as moments() tells instead, in moment_bytes() (Error E_STATE).
  Buffer adam_m() const { return buffer(f32_moments(offsets_.adam_m)); }
  Buffer adam_v() const { return buffer(f32_moments(offsets_.adam_v)); }
  bool has_8bit_moments() const { return options_.training && options_.adamw_8bit; }
  const std::vector<MomentPart>& moments() const { return offsets_.adam_8bit.parts(); }
  Buffer moment_bytes() const;

  // Whether sums may begin in the backward pass: where the ranks send the memory in which the gradients lie.
  bool sums_early() const;
  // Starts the sums of the gradients of this layer and of all above it, which are final. On a device they wait for reduce().
  void start_sums(Sums&, int64_t layer);
  // The gradients and the window's loss are summed over the ranks: those that were not started, too. on_device: sums values where they lie on
  // a device; null: in the host's memory. Error E_GROUP, E_STATE.
  void reduce(Group&, Sums&, Reducer* on_device);
  // Error E_STATE where sums were started, and reduce() has not been called yet: the gradients are not the caller's.
  void expect_no_sums() const;
  // Everyone's parameters, moments and state become rank 0's, bit for bit. Error E_GROUP, E_STATE.
  void share(Group&);
  // Of a step that will not end: its gradients do not count.
  void drop_gradients() { gradients_.drop(*this); }
  // With checked options: clips to the global norm, AdamW, gradients = 0. Where the norm is not finite nothing is applied: read() tells.
  void step(const OptimizerOptions&);

  // Whether it is called for the first time.
  bool is_new() { return std::exchange(is_new_, false); }

  // Addresses for operations.
  double* window_loss() const { return &state_at()->window_loss; }
  const double* loss_scale() const { return &state_at()->loss_scale; }
  // The results of the steps so far. Waits for the steps.
  StepState read();
  void write(const StepState&);

 private:
  struct Offsets {
    int64_t parameters = 0, adam_m = 0, adam_v = 0;
    MomentLayout adam_8bit;  // 8-bit AdamW: it lies at `moments` instead of adam_m and adam_v
    int64_t moments = 0;
    int64_t state = 0, learning_rates = 0;  // StepState; (kMostRates) f32
    int64_t adamw_parts = 0;                // AdamWPart of each tensor at most
    int64_t held = 0;                       // bytes without the moments
    int64_t kept = 0;                       // of frozen halves: their values while decay passes over them
    int64_t norms = 0, factors = 0;         // of DoRA, (layout.outputs()) f32
    Offsets(Arena&, const AdapterLayout&, const AdapterSpec&, const EngineOptions&);
  };

  // A part of the gradients that is summed as one: it is final when `layer` has gone backward; -1: at the end.
  struct Part {
    int64_t begin = 0, end = 0, layer = 0;
  };
  static std::vector<Part> parts_of(const AdapterLayout&);

  // All tensors with their groups' factors, and AdamW with them: placed where the backend reads them when an option has another value.
  std::vector<AdamWPart> adamw_parts(const OptimizerOptions&) const;
  void update(const OptimizerOptions&);
  // The frozen halves into a buffer beside the parameters, or back.
  void keep_frozen(bool back) const;
  // The rows of the base that a tensor begins as; none where it begins otherwise.
  std::optional<std::vector<int32_t>> copied_rows(const AdapterTensor&) const;
  void copy_of_base(const AdapterTensor&, const std::vector<int32_t>& rows, const ModelWeights&);
  void write_initial_factors(const ModelWeights&);
  void norms_of_rows(const ModelWeights&, bool with_factors);
  // Error E_STATE outside training, and where another adapter's step is in progress.
  float* gradients_at() const { return (training(0), gradients_.of(*this)); }
  StepState* state_at() const { return arena_.at<StepState>(training(offsets_.state)); }
  // f(address, bytes): of this process's memory, or of a copy that is written back.
  template <class F>
  void in_host(void* at, int64_t bytes, F f) const;
  Buffer buffer(int64_t offset) const { return Buffer(backend_, arena_.at(offset)); }
  int64_t training(int64_t offset) const;
  int64_t f32_moments(int64_t offset) const;

  Backend& backend_;
  Gradients& gradients_;
  EngineOptions options_;
  AdapterSpec spec_;
  AdapterLayout layout_;
  Arena arena_;
  Offsets offsets_;
  std::vector<Part> parts_;  // in the order in which they are final
  size_t started_ = 0;       // parts whose sums were started
  bool is_new_ = true;
  bool has_factors_ = false;  // that belong to the parameters
  // The parts of AdamW that are placed, and by which options.
  int64_t adamw_parts_ = 0, adamw_blocks_ = 0;
  float placed_decay_ = 0;
  double placed_ratio_ = 0;
  int64_t skipped_ = 0;  // steps, when the state was last read or written
};

}  // namespace lowrank
