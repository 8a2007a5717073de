// LoRA adapters of a model: the linears that carry one, and their parameters in one flat f32 buffer (A (R, I) then B (O, R)
// for each, in order of use). Gradients and optimizer state are buffers of the same layout.
#pragma once
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/spec.h"
#include "ops/backend.h"

namespace lowrank {

// Rows of a table that train in the place of the base's.
struct TokenRows {
  std::string module;  // of the embedding or of the head
  std::vector<int32_t> ids;
};

struct AdapterSpec {
  int64_t rank = 0;
  double alpha = 1, dropout = 0;
  bool rslora = false;
  bool bias = false;         // of B (PEFT's lora_bias)
  bool dora = false;         // magnitudes of the outputs train, too (Liu et al., 2024)
  bool freeze_a = false;     // LoRA-FA: B alone trains (Zhang et al., 2023)
  // The second halves of A's rows and of B's columns are frozen; initial_factors makes them, and the trained halves, which they cancel at first.
  bool freezes_half = false;
  std::string initial_factors = {};  // their method (model/initial_factors.h); empty: the tensors are loaded
  double neftune_alpha = 0;  // noise on the embeddings in training (Jain et al., 2023)
  bool base_dropout = true;  // training has the dropouts of the base
  std::vector<std::string> targets;  // full module names
  // The embedding's and the head's module, where they train whole: copies of their own, also where the base's head is its embedding.
  std::vector<std::string> whole = {};
  // Single tokens (PEFT's trainable_token_indices). Where the head is the embedding, it has the embedding's.
  std::vector<TokenRows> tokens = {};
  // Of single targets, in place of rank and alpha.
  std::map<std::string, int64_t> ranks = {};
  std::map<std::string, double> alphas = {};
  uint64_t seed = 0;

  int64_t rank_of(const std::string& target) const;
  float scale_of(const std::string& target) const;  // alpha / r, or alpha / sqrt(r) (rank-stabilised, Kalajdzievski 2023)
};

struct AdapterSite {
  std::string name;  // of the module
  int64_t layer = 0;  // as ModelSpec::linears counts them
  size_t linear = 0;  // its number within the layer
  int64_t out = 0, in = 0, rank = 0;
  float scale = 1;
  int64_t a_offset = 0, b_offset = 0;                     // in elements of the flat buffer
  int64_t bias_offset = -1, magnitude_offset = -1;  // where there are some
  int64_t first_output = 0;                         // outputs of the sites before it
};

// A tensor that trains, as files name it: a part of the flat buffers of parameters, gradients and moments.
struct AdapterTensor {
  enum class Role { lora_a, lora_b, lora_bias, magnitude, whole, embedding, head, embedding_rows, head_rows };
  std::string name;
  int64_t rows = 0, cols = 0, offset = 0;  // in elements; a vector has one column
  Role role = Role::lora_a;
  size_t site = 0;         // of whole ones: the classifier's layer
  bool is_vector = false;  // a bias or magnitudes: files have one dimension

  int64_t elements() const { return rows * cols; }
};

// Offsets of a whole layer in the flat buffer; -1: not there.
struct DensePlace {
  int64_t weight = -1, bias = -1;
};

// Where the rows of single tokens lie: (ids, C); offset -1: there are none.
struct RowsPlace {
  int64_t offset = -1;
  std::vector<int32_t> ids = {};
  std::unordered_map<int32_t, int32_t> row_of = {};  // an id's
  int64_t count() const { return int64_t(ids.size()); }
};

class AdapterLayout {
 public:
  AdapterLayout() = default;
  AdapterLayout(const ModelSpec&, const AdapterSpec&);  // Error E_TARGET where a target is no linear of the model

  const std::vector<AdapterSite>& sites() const { return sites_; }
  // The tensors in the order of the flat buffer. This list alone decides which tensors train.
  const std::vector<AdapterTensor>& tensors() const { return tensors_; }
  const std::vector<DensePlace>& dense() const { return dense_; }  // of each layer of the classifier
  const DensePlace& head() const { return head_; }
  int64_t embedding() const { return embedding_; }  // as DensePlace's weight
  const RowsPlace& embedding_rows() const { return embedding_rows_; }
  const RowsPlace& head_rows() const { return head_rows_; }
  bool embedding_trains() const { return embedding_ >= 0 || embedding_rows_.offset >= 0; }  // whole, or some rows
  int64_t elements() const { return elements_; }
  int64_t outputs() const { return sites_.empty() ? 0 : sites_.back().first_output + sites_.back().out; }  // of all sites
  int64_t rank() const { return rank_; }  // the largest of a site
  // The part of a tensor that does not train, in a flat buffer of these tensors; data null: there is none.
  Mat frozen(const AdapterTensor&, const AdapterSpec&, float* buffer) const;
  int index(int64_t layer, size_t linear) const {  // -1: no adapter there
    return sites_.empty() ? -1 : lookup_[place(layer, linear)];
  }
  bool any_in(int64_t layer) const;     // an adapter in this layer
  bool any_below(int64_t layer) const { return embedding_trains() || (!sites_.empty() && sites_.front().layer < layer); }

 private:
  size_t place(int64_t layer, size_t linear) const { return size_t(layer - ModelSpec::kBeforeBlocks) * linears_ + linear; }
  int64_t add(AdapterTensor);  // its offset
  void add_site(const AdapterSpec&, AdapterSite);
  void add_whole(const ModelSpec&, const std::string& module);
  void add_rows(const ModelSpec&, const TokenRows&);

  std::vector<AdapterSite> sites_;
  std::vector<AdapterTensor> tensors_;
  std::vector<DensePlace> dense_;
  DensePlace head_;
  int64_t embedding_ = -1;
  RowsPlace embedding_rows_, head_rows_;
  std::vector<int> lookup_;
  size_t linears_ = 0;  // of a block
  int64_t elements_ = 0, rank_ = 0;
};

// A tensor as PEFT begins: A uniform in +-1/sqrt(I) (Kaiming, a = sqrt(5)), B and its bias zero; whole weights normal, as transformers
// begins them, and their biases zero. Magnitudes, embedding and head follow from the base.
std::vector<float> initial_values(const AdapterTensor&, uint64_t seed, double whole_std = 0.02);

}  // namespace lowrank
