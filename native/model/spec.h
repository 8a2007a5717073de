// A model as TypeScript describes it (src/native/spec.ts): blocks of linears, norms, attention and an MLP, and the tensors in its files.
// Nothing here knows families.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/arguments.h"
#include "quant/quantize.h"

namespace lowrank {

struct RopeScaling {
  enum class Type { none, linear, dynamic, llama3, yarn, longrope } type = Type::none;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  double original_max_positions = 0;       // of all but linear
  double beta_fast = 32, beta_slow = 1;    // of yarn
  bool truncate = true;                    // of yarn: the ramp's ends are whole numbers
  double attention_factor = 1;             // of yarn and longrope: cos and sin are multiplied by it
  std::vector<double> short_factors = {}, long_factors = {};  // of longrope: a divisor for each pair, of texts up to the trained length and beyond

  // Whether the angles depend on the length of the longest sequence.
  bool depends_on_length() const { return type == Type::dynamic || type == Type::longrope; }
};

struct RopeSpec {
  double theta = 10000;
  RopeScaling scaling;
};

// RMSNorm, or centred LayerNorm, with factor * (offset + weight) and factor * bias. Without a tensor there is no norm.
struct NormSpec {
  std::string weight;  // tensor within the block, or of the model; (C)
  double eps = 1e-5;
  double offset = 0, factor = 1;
  std::string bias = {};  // empty: none
  bool centred = false;

  explicit operator bool() const { return !weight.empty(); }
};

// How a part's output is added to the stream: x += scale * norm(output), or in training x += dropout(output); then x = after(x).
struct ResidualSpec {
  NormSpec norm;
  double scale = 1;
  NormSpec after = {};
  double dropout = 0;  // with neither norm nor scale

  bool direct() const { return !norm && scale == 1; }
};

// Tensors module.weight (O, I) and, with bias, module.bias (O).
struct LinearSpec {
  std::string module;
  int64_t out = 0, in = 0;
  bool bias = false;
};

// Where heads lie in the output of one of attention's linears, as Heads of ops/arguments.h has it.
struct HeadView {
  int64_t linear = 0;  // of AttentionSpec::inputs
  int64_t offset = 0, group_stride = 0, head_stride = 0;
};

// The settings of attention that layers may have of their own.
struct AttentionKind {
  int64_t window = 0;  // keys that a query sees at most; 0: all before it
  bool rotates = true;
  RopeSpec rope;  // where it rotates
};

// ALiBi (Press et al., 2022): scale * slope[head] * position is added to the score of a key.
struct KeyBias {
  std::vector<double> slopes;  // of each head; empty: there is none
  double scale = 1;
  bool rounded = false;  // the slope, the position and their product are rounded to bf16 before they are scaled
};

struct AttentionSpec {
  NormSpec norm;
  std::vector<LinearSpec> inputs;  // of the norm's output: q, k and v, or one that is all of them
  HeadView q, k, v;
  LinearSpec out;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  // Before the rotation; (D), with norm_each a row of (H, D) and (G, D) for each head, or a tensor whose number stands for * in its name; with
  // norm_whole over all heads: (H*D) and (G*D)
  NormSpec q_norm, k_norm;
  bool norm_whole = false, norm_each = false;
  int64_t rotary_dim = 0;    // the first columns of a head, which rotate
  bool interleaved = false;  // as RopeArgs'
  double scale = 0, soft_cap = 0;  // as AttentionShape's
  bool causal = true;
  KeyBias key_bias;
  double dropout = 0;  // of the probabilities, in training
  std::vector<AttentionKind> kinds = std::vector<AttentionKind>(1);
  std::vector<int64_t> layer_kinds;  // a layer's kind; empty: all layers have the first
  ResidualSpec residual;

  size_t kind_number(int64_t layer) const { return layer_kinds.empty() ? 0 : size_t(layer_kinds[size_t(layer)]); }
  const AttentionKind& kind(int64_t layer) const { return kinds[kind_number(layer)]; }
  int64_t q_dim() const { return heads * head_dim; }
  int64_t kv_dim() const { return kv_heads * head_dim; }
  // Keys or values: are they all that a linear gives?
  bool has_linear(const HeadView& view) const { return inputs[size_t(view.linear)].out == kv_dim(); }
};

// down(f(gate(h)) * up(h)), or without a gate down(f(up(h)))
struct MlpSpec {
  NormSpec norm;  // of a parallel block without it, h is attention's
  std::vector<LinearSpec> inputs;  // gate and up, or one that is both: the gate's columns come first; or up alone, as wide as down's input
  LinearSpec down;
  Activation activation = Activation::silu;
  ResidualSpec residual;

  int64_t width() const { return down.in; }
  bool gated() const { return inputs.size() > 1 || inputs[0].out != width(); }
};

constexpr size_t kMostAttentionInputs = 3, kMostMlpInputs = 2;
constexpr size_t kMostLinears = kMostAttentionInputs + kMostMlpInputs + 2;

// x += attention(norm(x)); x += mlp(norm(x)), or parallel x += attention(norm(x)) + mlp(norm(x))
struct BlockSpec {
  AttentionSpec attention;
  MlpSpec mlp;
  bool parallel = false;
  bool shares_mask = false;  // the dropouts of both parts' outputs have one mask, which is one of their sum

  // The linears in order of use: attention's inputs, its out, the MLP's inputs, its down. A linear's index in this list is its number
  // within the block.
  std::vector<const LinearSpec*> linears() const;
  size_t out() const { return attention.inputs.size(); }
  size_t mlp_inputs() const { return out() + 1; }  // the first
  size_t down() const { return mlp_inputs() + mlp.inputs.size(); }

  // A norm and the size of its weight, a vector or with `rows` a matrix.
  struct SizedNorm {
    const NormSpec* norm;
    int64_t size, rows = 0;
  };
  // Numbers of the norms; those that a block lacks have no tensor.
  enum Norms : size_t { kAttentionNorm, kQueryNorm, kKeyNorm, kAttentionResidual, kAttentionAfter, kMlpNorm, kMlpResidual, kMlpAfter, kNorms };
  std::array<SizedNorm, kNorms> norms(int64_t dim) const;
};

// dropout(function(x)) through a linear that every adapter has whole, and trains.
struct DenseSpec {
  LinearSpec linear;  // its module's whole name
  HeadFunction function = HeadFunction::none;
  double dropout = 0;  // while training
};

// A classifier of texts: the state of one token of each text through dense layers. It takes the head's place.
struct ClassifierSpec {
  bool last_token = true;   // else the first
  int64_t pad_id = -1;      // tokens of this id at a text's end are not its last token
  LabelLoss loss = LabelLoss::single_label_classification;
  double init_std = 0.02;   // of weights that the files do not have
  std::vector<DenseSpec> layers;  // the last gives the logits

  int64_t labels() const { return layers.back().linear.out; }
  // Numbers that are a text's label.
  int64_t label_width() const { return loss == LabelLoss::single_label_classification ? 1 : labels(); }
};

struct ModelSpec {
  int64_t vocab = 0, dim = 0;
  std::string embedding, head;  // tensors (V, table_dim()); with tied_head the head is the embedding
  bool tied_head = false;
  // Linears outside of the blocks, by their modules' whole names: of the embedding's rows, before positions, and of the final norm's output, before
  // the head or the classifier.
  std::optional<LinearSpec> embedding_linear, final_linear;
  int64_t table_dim() const { return embedding_linear ? embedding_linear->in : dim; }
  int64_t read_dim() const { return final_linear ? final_linear->out : dim; }  // that head or classifier reads
  std::string head_bias;  // tensor (V); empty: none
  // Learned positions: tensor (rows, C), a token's row is its position and an offset; empty: none.
  std::string positions;
  int64_t position_rows = 0, position_offset = 0;
  // Learned types of tokens: tensor (rows, C); empty: none. With one row all tokens have it.
  std::string token_types = {};
  int64_t type_rows = 0;
  NormSpec embedding_norm, final_norm;  // embedding_norm: of the embeddings, where there is one
  double embedding_scale = 1;
  double embedding_dropout = 0;  // of the embeddings, after their norm, in training
  double logit_cap = 0;  // logits become cap * tanh(logit / cap); 0: they stay
  std::string layer_prefix;  // followed by the layer's number and a dot
  int64_t layers = 0;
  BlockSpec block;
  std::optional<ClassifierSpec> classifier;

  // The numbers of the base's dropouts, which have a mask each: of the embeddings, and of a layer's parts.
  static constexpr int64_t kEmbeddingDropout = 0;
  enum class Dropped : int64_t { probabilities, attention, mlp };
  int64_t dropout_number(int64_t layer, Dropped part) const { return 1 + 3 * layer + int64_t(part); }
  int64_t dropouts() const { return 1 + 3 * layers; }

  // The longest sequence; 0: there is no limit.
  int64_t most_positions() const { return positions.empty() ? 0 : position_rows - position_offset; }
  std::string name(int64_t layer, const std::string& within) const { return layer_prefix + std::to_string(layer) + "." + within; }

  // The linears of a layer in order of use. The one before the blocks counts as layer kBeforeBlocks, the one behind them as layer `layers`.
  static constexpr int64_t kBeforeBlocks = -1;
  std::vector<const LinearSpec*> linears(int64_t layer) const;
  // Whether the linear before it reads the same input.
  bool shares_input(int64_t layer, size_t linear) const { return layer >= 0 && layer < layers && (linear < block.out() ? linear > 0 : linear > block.mlp_inputs() && linear < block.down()); }
  std::string module(int64_t layer, const LinearSpec& l) const { return layer < 0 || layer >= layers ? l.module : name(layer, l.module); }
  // f(layer, number within the layer, linear) of every linear in order of use.
  template <class F>
  void each_linear(F f) const {
    for (int64_t layer = kBeforeBlocks; layer <= layers; layer++) {
      const auto list = linears(layer);
      for (size_t i = 0; i < list.size(); i++) f(layer, i, *list[i]);
    }
  }
};

struct FileRange {
  std::string file;
  int64_t offset = 0, bytes = 0;
};

struct TensorEntry {
  std::string name, file;
  Format format = Format::f32;
  std::vector<int64_t> shape;
  int64_t offset = 0, bytes = 0;
  int64_t interleaved = 0;  // as Weight's
  bool transposed = false;  // as Weight's; the shape is the stored (I, O)
  // Block i of rows is the stored block row_blocks[i], all blocks of equal size; empty: in order.
  std::vector<int64_t> row_blocks;
  // Statistics of nf4, fp4 and i8, as Weight's.
  int64_t block_size = 64;
  FileRange absmax, absmax_codes, absmax_map;
  double absmax_offset = 0;
  double outlier_threshold = 0;  // of i8, stored or made while it is loaded
  GradientCodes gradient_codes = GradientCodes::none;  // the same
  QuantizeSpec quantize;  // while it is loaded
};

struct ModelSource {
  std::string folder;
  ModelSpec spec;
  std::vector<TensorEntry> tensors;
};

// Sizes are positive and fit each other, and each column of the outputs of attention's linears belongs to one head. Error E_CONFIG_VALUE.
void check_spec(const ModelSource&);

}  // namespace lowrank
