// The plan of the memory that an engine holds once, however many adapters and texts it has: scratch memory of operations and the buffers of
// a piece.
#pragma once
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/arena.h"
#include "block/block.h"
#include "block/classifier.h"
#include "block/head.h"

namespace lowrank {

// A micro-batch goes through the model in pieces of whole sequences, so that the activations' memory does not grow with the
// batch. Fewer tokens at a time would make packing the weights, once per piece, show.
constexpr int64_t kPieceTokens = 1024;
// Of a GPU, whose products want more rows, and which decodes quantised weights once a piece.
constexpr int64_t kDevicePieceTokens = 2048;

struct EngineOptions {
  std::string device = "cpu";  // as make_backend takes it
  DType act = DType::f32;
  int64_t threads = 1, max_tokens = 0, max_sequence = 0;
  // Tokens that the key/value cache of a text holds; 0 where nothing is generated.
  int64_t cache_tokens = 0;
  int64_t texts = 1;                // generations that may be in progress at a time
  bool training = false;
  bool adamw_8bit = false;          // the optimizer's moments
  bool profile = false;             // operations are timed
  bool copies_weights = false;      // into large pages, see ModelWeights
  bool rereads_weights = false;     // else: whether the page cache is to hold them in large pages
  bool rounds_activations = false;  // as the model's linears want it, see options_for
  bool rounds_gradients = false;    // the same of the 8-bit backward pass
  int64_t decoded = 0;              // OpLimits' of the model, see options_for
  bool offload_embedding = false;   // stays with the host where the backend's memory is another; each piece's rows are uploaded
  int64_t offloaded_row = 0;        // bytes of such a row, see options_for; 0: the backend has the embedding
  int64_t piece_tokens() const { return std::min(max_tokens, std::max(device == "cpu" ? kPieceTokens : kDevicePieceTokens, max_sequence)); }
  // Without a backward pass no values of a block are kept: pieces may be longer than a small training batch's.
  int64_t evaluation_tokens() const { return training ? std::max({kPieceTokens, max_sequence, piece_tokens()}) : std::max(piece_tokens(), texts); }
  bool offload_checkpoints = false;  // the inputs of checkpointed blocks lie with the host where the backend's memory is another
  // Gradient checkpointing (Chen et al., 2016): this number of the lowest blocks keep their input only and are computed
  // again in the backward pass, bit for bit.
  int64_t checkpointed_blocks = 0;
};

// The size of buffers and operations that suffices for all adapters of an engine.
class AdapterNeeds {
 public:
  explicit AdapterNeeds(const ModelSpec& model) : linears_(model.block.linears().size()), ranks_(size_t(model.layers + 2) * linears_) {}

  // Whether it needs more than the adapters before.
  bool include(const AdapterLayout&, const AdapterSpec&);
  int64_t rank() const { return rank_; }  // the largest
  bool dropout() const { return dropout_; }
  AdapterSizes sizes() const { return {rank_, dora_, dropped_dora_}; }
  bool embedding() const { return embedding_; }  // one trains it, whole or in some rows
  bool embedding_rows() const { return embedding_rows_; }
  bool head() const { return head_; }
  int64_t head_rows() const { return head_rows_; }  // the most
  // The largest of each linear, by layer as ModelSpec::linears counts them.
  std::span<const int64_t> ranks(int64_t layer) const { return std::span(ranks_).subspan(place(layer), linears_); }
  AdapterColumns columns(int64_t layer, size_t linear, const ModelSpec& m) const { return {ranks(layer)[linear], m.shares_input(layer, linear)}; }

 private:
  size_t place(int64_t layer) const { return size_t(layer - ModelSpec::kBeforeBlocks) * linears_; }

  size_t linears_;
  std::vector<int64_t> ranks_;
  int64_t rank_ = 0;
  bool dropout_ = false, dora_ = false, dropped_dora_ = false, embedding_ = false, embedding_rows_ = false, head_ = false;
  int64_t head_rows_ = 0;
};

// Token ids, positions, offsets and labels of a piece: offsets of int32_t in the arena, where nothing else is named.
struct TokenBuffers {
  int64_t ids = 0, positions = 0, offsets = 0, rows = 0, labels = 0;
  int64_t class_labels = 0;  // f32, of a classifier
  int64_t types = 0;         // of a model with token types
  int64_t own_places = 0, own_rows = 0;  // OwnTokens'
  int64_t varying = 0;       // a Varying
};

// Offsets of the rotary tables of a kind of attention: (max_sequence, E/2) f32 each.
struct RotaryOffsets {
  int64_t cos = 0, sin = 0;
};

// Offsets of every buffer. Buffers that do not depend on the piece lie first and stay. The others follow and are placed anew for the number
// of tokens of each piece, so that short pieces touch little memory.
class Layout {
 public:
  Layout(Arena&, const ModelSpec&, const AdapterNeeds&, const EngineOptions&, int64_t workspace_bytes);

  void place_training(int64_t tokens) { place(tokens, true); }     // at most piece_tokens()
  void place_evaluation(int64_t tokens) { place(tokens, false); }  // at most evaluation_tokens(); all layers share a block's buffers

  int64_t workspace = 0;     // operations' scratch
  std::vector<RotaryOffsets> rotary;  // of each kind of attention; empty where it does not rotate
  int64_t key_bias = -1;     // (H, max_sequence) f32; -1: the model has none
  // Rows of an embedding that stays with the host, for the tokens of a piece, and their numbers. The next piece's come while this one is computed.
  int64_t table = 0, numbers = 0;
  int64_t table_bytes() const { return table_bytes_; }
  int64_t loss = 0;          // f64: the sum of an evaluation's token losses

  // Buffers of the piece:
  TokenBuffers token_buffers;
  Stream stream;
  Block::Shared shared;
  std::vector<Rows> block_inputs;  // (M, C) f32 of each block that is computed again; with offload_checkpoints in memory of the host
  Rows between;  // (M, C) f32: a block's input on its way to the host or back
  Final final;
  Head head;
  Norm embedding_norm;  // where the embedding trains and has one
  Rows own_embeddings;  // (M, E) f32: of OwnTokens, then their gradients
  Rows embedded, embedded_act;  // (M, E) f32, then its gradient, and act: where a linear follows the embedding
  Linears embedding_linear;     // that one
  Classifier classifier;  // in the head's place, where the model is one
  // Where text is generated: (texts, V) f32, (texts) SampleRow, (texts) i32
  int64_t logits = 0, sample_rows = 0, next_tokens = 0;
  int64_t own_logits = 0;  // (M, rows of the head) f32, where some train and there is no backward pass

  const Block& block(int64_t layer) const { return blocks_[slot(layer)]; }
  // In training the lowest layers share the first block's buffers.
  bool checkpointed(int64_t layer) const { return options_.training && layer < shared_layers_; }
  // In the backward pass: the saved values of the highest of them are still there.
  bool computed_again(int64_t layer) const { return checkpointed(layer) && layer <= highest_computed_again(); }
  int64_t highest_computed_again() const { return shared_layers_ - 2; }  // negative: none is
  int64_t offloaded_bytes() const { return offloaded_bytes_; }
  // Where no command leaves anything for the next one: the pieces' buffers.
  int64_t scratch() const { return tokens_begin_; }
  // Whether an item of the plan holds such buffers: all of it but some tables.
  static bool is_scratch(const MemoryItem& item) { return item.name == "buffers" || item.name == "activations"; }

 private:
  void place(int64_t tokens, bool keep);
  void place(Place);
  size_t slot(int64_t layer) const {
    if (!keep_) return 0;
    return shared_layers_ == 0 ? size_t(layer) : size_t(std::max<int64_t>(layer - shared_layers_ + 1, 0));
  }

  ModelSpec model_;
  EngineOptions options_;
  std::vector<Block> blocks_;
  std::vector<std::vector<int64_t>> ranks_;  // of each block's linears
  std::vector<int64_t> embedding_ranks_, final_ranks_;
  int64_t shared_layers_ = 0, tokens_begin_ = 0, end_ = 0, offloaded_bytes_ = 0, table_bytes_ = 0;
  AdapterSizes adapters_;
  bool embedding_trains_ = false, embedding_rows_ = false;
  int64_t head_rows_ = 0;
  bool keep_ = true;  // whether each block keeps the values that its backward pass reads
};

// The options, completed from the model.
EngineOptions options_for(const ModelSource&, EngineOptions);

OpLimits op_limits(const ModelSpec&, const AdapterNeeds&, const EngineOptions&);

}  // namespace lowrank
