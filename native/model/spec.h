// A model as TypeScript describes it (src/native/spec.ts): blocks of linears, norms, attention and an MLP, and the tensors in its files.
// Nothing here knows families.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/arguments.h"
#include "quant/quantize.h"

namespace lowrank {

struct RopeScaling {
  enum class Type { none, linear, dynamic, llama3 } type = Type::none;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 0;  // of dynamic and llama3
};

struct RopeSpec {
  double theta = 10000;
  RopeScaling scaling;
};

// RMSNorm.
struct NormSpec {
  std::string weight;  // tensor within the block, or of the model; (C)
  double eps = 1e-5;
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

struct AttentionSpec {
  NormSpec norm;
  std::vector<LinearSpec> inputs;  // of the norm's output: q, k and v, or one that is all of them
  HeadView q, k, v;
  LinearSpec out;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  RopeSpec rope;

  int64_t q_dim() const { return heads * head_dim; }
  int64_t kv_dim() const { return kv_heads * head_dim; }
  // Keys or values: are they all that a linear gives?
  bool has_linear(const HeadView& view) const { return inputs[size_t(view.linear)].out == kv_dim(); }
};

// down(silu(gate(h)) * up(h))
struct MlpSpec {
  NormSpec norm;
  LinearSpec gate, up, down;
};

constexpr size_t kMostAttentionInputs = 3;
constexpr size_t kMostLinears = kMostAttentionInputs + 4;

// x += attention(norm(x)); x += mlp(norm(x))
struct BlockSpec {
  AttentionSpec attention;
  MlpSpec mlp;

  // The linears in order of use: attention's inputs, its out, gate, up, down. A linear's index in this list is its number
  // within the block.
  std::vector<const LinearSpec*> linears() const;
  size_t out() const { return attention.inputs.size(); }
  size_t gate() const { return out() + 1; }
  size_t up() const { return out() + 2; }
  size_t down() const { return out() + 3; }
};

// dropout(x) through a linear and a function.
struct DenseSpec {
  LinearSpec linear;  // its module's whole name
  HeadFunction function = HeadFunction::none;
  double dropout = 0;  // of its input while training
  bool trains = false;  // whole, with every adapter
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
  std::string embedding, head;  // tensors (V, C); with tied_head the head is the embedding
  bool tied_head = false;
  NormSpec final_norm;
  std::string layer_prefix;  // followed by the layer's number and a dot
  int64_t layers = 0;
  BlockSpec block;
  std::optional<ClassifierSpec> classifier;

  std::string name(int64_t layer, const std::string& within) const { return layer_prefix + std::to_string(layer) + "." + within; }
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
  // Statistics of nf4, fp4 and i8, as Weight's.
  int64_t block_size = 64;
  FileRange absmax, absmax_codes, absmax_map;
  double absmax_offset = 0;
  double outlier_threshold = 0;  // of i8, stored or made while it is loaded
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
