// The memory plan: every buffer of an engine, placed in one arena before anything is allocated.
#pragma once
#include <algorithm>
#include <functional>
#include <vector>

#include "base/arena.h"
#include "model/adapter.h"
#include "ops/backend.h"
#include "train/moment_layout.h"

namespace lowrank {

// A micro-batch goes through the model in pieces of whole sequences, so that the activations' memory does not grow with the
// batch. Fewer tokens at a time would make packing the weights, once per piece, show.
constexpr int64_t kPieceTokens = 1024;

struct EngineOptions {
  DType act = DType::f32;
  int64_t threads = 1, max_tokens = 0, max_sequence = 0;
  // Tokens that the key/value cache holds; 0 where nothing is generated.
  int64_t cache_tokens = 0;
  bool training = false;
  bool adamw_8bit = false;          // the optimizer's moments
  bool profile = false;             // operations are timed
  bool copies_weights = false;      // into large pages, see ModelWeights
  bool rounds_activations = false;  // as the model's linears want it, see options_for
  int64_t piece_tokens() const { return std::min(max_tokens, std::max(kPieceTokens, max_sequence)); }
  // Without a backward pass nothing is kept of a block: pieces may be longer than those of a small training batch.
  int64_t evaluation_tokens() const { return training ? std::max(kPieceTokens, max_sequence) : piece_tokens(); }
  // Gradient checkpointing (Chen et al., 2016): so many of the lowest blocks keep their input only and are computed again
  // in the backward pass, bit for bit.
  int64_t checkpointed_blocks = 0;
};

// Offsets of what one block keeps from the forward pass for its backward pass.
struct BlockOffsets {
  int64_t x, attention_rstd;   // (M, C) act: block input; (M) f32
  int64_t inputs[kMostAttentionInputs];  // (M, O) act each: outputs of attention's inputs, where q, k and v lie
  int64_t o, lse;              // (M, H*D) act; (M, H) f32
  int64_t x_mid, mlp_rstd;     // (M, C) act: input of the MLP's norm; (M) f32
  int64_t g, u;                // (M, F) act
  int64_t lora_u[kMostLinears];      // (M, R) act where the linear has an adapter
};

// Offsets of everything. What is kept from one piece to the next lies first and stays; the rest follows and is placed anew
// for the number of tokens of each piece, so that short pieces touch little memory.
struct Layout {
  // adapters: flat buffers of AdapterLayout
  int64_t parameters = 0, gradients = 0, adam_m = 0, adam_v = 0;
  // 8-bit AdamW: what adam_8bit says lies here instead of adam_m and adam_v
  MomentLayout adam_8bit;
  int64_t moments = 0;
  // generation
  int64_t cache_k = 0, cache_v = 0;  // (L, S, G*D) act
  // operations' scratch
  int64_t workspace = 0;

  // Of M tokens, see place():
  // forward
  int64_t residual = 0;        // (M, C) f32, the running residual stream
  int64_t h = 0;               // (M, C) act, a norm's output
  int64_t a = 0;               // (M, F) act, SwiGLU's output
  std::vector<BlockOffsets> blocks;  // see saved(); the checkpointed blocks, or all without training, share the first
  std::vector<int64_t> block_inputs; // (M, C) f32 of each checkpointed block
  // head, for the supervised rows
  int64_t head_x = 0, head_h = 0, head_saved = 0, head_rstd = 0, head_dh = 0;
  // backward
  int64_t d_residual = 0;      // (M, C) f32
  int64_t dy = 0;              // (M, C) act: d_residual rounded for the products
  int64_t dh = 0;              // (M, C) f32: gradient of a norm's output
  int64_t da = 0;              // (M, F) act
  int64_t d_o = 0;             // (M, H*D) act
  int64_t d_inputs[kMostAttentionInputs] = {};  // as inputs

  const BlockOffsets& saved(int64_t layer) const { return blocks[slot(layer)]; }
  // What no command leaves anything in for the next one: where the pieces' buffers lie.
  int64_t scratch() const { return tokens_begin_; }

  int64_t shared_layers = 0;  // in training the lowest layers share blocks[0]

  Layout(Arena&, const ModelSpec&, const AdapterLayout&, const EngineOptions&, int64_t workspace_bytes);

  void place_training(int64_t tokens) { place(tokens, true); }     // at most piece_tokens()
  void place_evaluation(int64_t tokens) { place(tokens, false); }  // at most evaluation_tokens(); all layers share blocks[0]

 private:
  using Take = std::function<int64_t(const char* item, int64_t bytes)>;  // returns the offset
  void place(int64_t tokens, bool keep);
  void place(int64_t tokens, const Take& take);

  ModelSpec model_;
  EngineOptions options_;
  std::vector<std::pair<size_t, size_t>> lora_slots_;  // block and linear of each buffer of adapters' activations
  int64_t rank_ = 0, tokens_begin_ = 0, end_ = 0;
  bool keep_ = true;  // what the backward pass needs of each block

  size_t slot(int64_t layer) const {
    if (!keep_) return 0;
    return shared_layers == 0 ? size_t(layer) : size_t(std::max<int64_t>(layer - shared_layers + 1, 0));
  }
};

// With what follows from the model.
EngineOptions options_for(const ModelSource&, EngineOptions);

OpLimits op_limits(const ModelSpec&, const AdapterLayout&, const AdapterSpec*, const EngineOptions&);

}  // namespace lowrank
