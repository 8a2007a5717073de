// One model with at most one adapter: training step, evaluation and generation. Not thread-safe: one thread owns it.
#pragma once
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/arena.h"
#include "model/adapter.h"
#include "model/rope_table.h"
#include "model/weights.h"
#include "ops/backend.h"
#include "train/layout.h"
#include "train/profile.h"
#include "train/sampling.h"

namespace lowrank {

// Ragged sequences one after the other. targets[i]: token to be predicted at token i, or kIgnore.
struct Batch {
  std::vector<int32_t> ids, targets, offsets;
};
constexpr int32_t kIgnore = -100;

struct OptimizerOptions {
  float learning_rate = 0, weight_decay = 0, max_grad_norm = 0, epsilon = 1e-8f;
  double beta1 = 0.9, beta2 = 0.999;
  double loss_scale = 1;  // a factor that the gradients carry; it is divided out
};

// What an engine with these options will hold, item by item; nothing is allocated or opened.
std::vector<MemoryItem> plan_memory(const ModelSource&, const AdapterSpec*, const EngineOptions&);

class Engine {
 public:
  Engine(const ModelSource&, const AdapterSpec*, const EngineOptions&, LoadProgress&);

  int64_t trainable_parameters() const { return adapters_.elements(); }
  int64_t base_parameters() const { return weights_.parameters; }
  // After each use: what was computed from a file that somebody changed meanwhile is worth nothing. Error E_FILE_CHANGED.
  void check_files() const { weights_.check_unchanged(); }

  // gradients += loss_scale * d(sum of token losses); returns that sum. Error E_BATCH.
  double forward_backward(const Batch&, float loss_scale, uint64_t rng_stream);
  // Clips to the global norm, AdamW, gradients = 0; returns the norm before clipping. Not finite: nothing is applied. Error E_OPTIONS.
  double optimizer_step(const OptimizerOptions&);
  double evaluate(const Batch&);
  std::vector<float> logits(const Batch&);  // (M, V)

  int32_t generate_start(const std::vector<int32_t>& prompt, const Sampling&);
  int32_t generate_next(int32_t token);

  // Row-major bytes of W + scale * B A in the weight's dtype, rounded once. What was quantised while it was loaded is merged
  // as its file has it. Error E_TARGET for an unknown module.
  std::vector<uint8_t> merged_weight(const std::string& module) const;

  // Of an engine with options.profile: events since the last call. Error E_STATE.
  std::vector<ProfileEvent> take_profile();
  // The backend's best FLOP/s of a product. Measured in the first call, for some tens of milliseconds, and where `again` is asked for:
  // the best of all counts, for others may have been busy.
  double matmul_peak(bool again = false);

  const AdapterLayout& adapters() const { return adapters_; }
  // Flat f32 buffers in the order of adapters(); gradients and moments exist in training engines only (Error E_STATE).
  Buffer parameters() const { return buffer(parameters_at()); }
  Buffer gradients() const { return buffer(gradients_at()); }
  // Of 8-bit AdamW the moments lie as moments() says instead, in moment_bytes() (Error E_STATE).
  Buffer adam_m() const { return buffer(f32_moments(layout_->adam_m)); }
  Buffer adam_v() const { return buffer(f32_moments(layout_->adam_v)); }
  bool has_8bit_moments() const { return options_.training && options_.adamw_8bit; }
  const std::vector<MomentPart>& moments() const { return layout_->adam_8bit.parts(); }
  Buffer moment_bytes() const { return buffer(moment_bytes_at()); }
  int64_t optimizer_steps() const { return steps_; }
  void set_optimizer_steps(int64_t steps) { steps_ = steps; }

 private:
  // The sequences that go through the model at a time.
  struct Tokens {
    const int32_t *ids, *targets, *positions, *q_offsets, *kv_offsets;
    int64_t count, sequences;
    int64_t first = 0;  // tokens of the micro-batch before these
  };
  enum class Mode { train, recompute, evaluate, generate };  // recompute: what the backward pass reads, but not the block's output

  Buffer buffer(void* at) const { return Buffer(*backend_, at); }
  // Addresses for operations, with the errors of the buffers above.
  float* parameters_at() const { return arena_.at<float>(layout_->parameters); }
  float* gradients_at() const { return training_buffer(layout_->gradients); }
  uint8_t* moment_bytes_at() const;
  float* training_buffer(int64_t offset) const;
  float* f32_moments(int64_t offset) const;
  void update(const AdamWArgs&);  // of all parameters; its p, m, v, g and n do not count
  Mat mat(int64_t offset, DType dtype, int64_t rows, int64_t cols) const {
    return Mat(arena_.at(offset), dtype, rows, cols);
  }
  Mat act(int64_t offset, int64_t rows, int64_t cols) const { return mat(offset, options_.act, rows, cols); }
  Mat f32(int64_t offset, int64_t rows, int64_t cols) const { return mat(offset, DType::f32, rows, cols); }

  const BlockOffsets& saved(int64_t layer) const { return layout_->saved(layer); }
  bool checkpointed(int64_t layer) const { return options_.training && layer < layout_->shared_layers; }
  Mat block_input(int64_t layer, int64_t m) const { return f32(layout_->block_inputs[size_t(layer)], m, model_.dim); }
  Lora lora(int64_t layer, size_t linear, uint64_t rng_stream, bool train) const;
  // gate, a: as LinearFwdArgs'; gate, up: as LinearBwdArgs'.
  void linear_fwd(int64_t layer, size_t linear, const Mat& x, const Mat& y, bool accumulate, const Mat& gate = {}, const Mat& a = {});
  // The linears of one input x, from `first` on, each with the gradient of its output: dx is their sum.
  void linears_bwd(int64_t layer, size_t first, std::span<const Mat> dys, const Mat& x, const Mat& dx, const Mat& gate = {}, const Mat& up = {});
  bool has_adapter(int64_t layer, size_t linear) const { return adapters_.index(layer, linear) >= 0; }
  bool has_adapter(int64_t layer, size_t first, size_t count) const;  // one of them

  AttentionShape attention_shape(const Tokens&) const;
  void check_batch(const Batch&) const;
  std::vector<Tokens> pieces(const Batch&, int64_t most_tokens);  // Error E_BATCH; they point into the batch and into this engine
  void forward(const Tokens&, Mode);
  void backward(const Tokens&);
  void block_forward(int64_t layer, const Tokens&, Mode);
  void block_backward(int64_t layer, const Tokens&);
  // Loss over the supervised rows; with loss_scale > 0 the gradient of the residual stream too.
  double head(const Tokens&, float loss_scale);
  int32_t next_token(const int32_t* ids, int64_t n);

  ModelSpec model_;
  std::vector<std::string> names_;  // of a block's linears, as q_proj
  EngineOptions options_;
  AdapterSpec spec_;
  AdapterLayout adapters_;
  ModelWeights weights_;
  RopeTable rope_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Profile> profile_;  // where operations are timed
  double matmul_peak_ = 0;
  Arena arena_;
  std::unique_ptr<Layout> layout_;

  std::vector<int32_t> positions_, piece_offsets_, supervised_, labels_;
  uint64_t rng_stream_ = 0;
  int64_t first_row_ = 0;  // of the piece within its micro-batch: dropout masks do not depend on the pieces
  bool dropout_on_ = false;
  int64_t steps_ = 0;

  Sampling sampling_;
  int64_t cached_ = -1;      // tokens in the key/value cache; -1: no generation started
  uint64_t generated_ = 0;
  int32_t q_offsets_[2] = {0, 0}, kv_offsets_[2] = {0, 0};
  std::vector<float> logits_;
};

}  // namespace lowrank
