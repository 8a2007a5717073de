// The frozen base model: views into mapped files, plus f32 copies of the small vectors (norms, biases).
#pragma once
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "io/mapped_file.h"
#include "model/spec.h"
#include "model/stored_weight.h"

namespace lowrank {

struct LinearWeights {
  Weight w;                     // (O, I)
  StoredWeight stored;          // w may be a copy in order of it, or what it was quantised to
  const float* bias = nullptr;  // (O)
};

struct NormWeights {
  const float *weight = nullptr, *bias = nullptr;  // (C) each; null: there is none
};

struct BlockWeights {
  NormWeights norms[BlockSpec::kNorms];  // by BlockSpec::Norms
  std::vector<LinearWeights> linears;  // in the order of BlockSpec::linears()
};

// A layer of a classifier, in f32; null where the files do not have it.
struct DenseWeights {
  const float *w = nullptr, *bias = nullptr;
};

// Every tensor the model needs is there, with the right shape and inside its file's declared size; files are not opened.
// Error E_TENSOR_MISSING, E_TENSOR_SHAPE, E_CONFIG_VALUE.
void check_source(const ModelSource&);
// Checks of one tensor that its bytes and its statistics' bytes fit its shape. Error E_TENSOR_SHAPE, E_QUANTIZED.
void check_tensor(const TensorEntry&);

// How far loading is, for another thread to look at.
struct LoadProgress {
  std::atomic<int64_t> quantized = 0;            // weights
  std::atomic<int64_t> copied = 0, to_copy = 0;  // bytes; the latter is known before the first is copied
};

class ModelWeights {
 public:
  // Checks and maps, and quantises the marked tensors one by one. A tensor that another model of this process has quantised
  // alike is shared. Error also E_FILE; E_TENSOR_VALUE of a tensor to be quantised. small_pages: of the linears and the head of files that the page cache holds so (see MappedFile).
  enum class SmallPages { stay, copied, read_anew };
  ModelWeights(const ModelSource&, int threads, SmallPages small_pages, LoadProgress&);

  Weight embedding, head;            // (V, E) both, E = C but where there are linears of other widths; the same memory when tied
  const float* head_bias = nullptr;  // (V) or null
  Weight positions;                  // (P, C): learned ones, from position 0 on; data null: none
  Weight token_types;                // (T, C); data null: none
  NormWeights embedding_norm, final_norm;
  std::vector<BlockWeights> blocks;
  LinearWeights embedding_linear, final_linear;  // where the model has them
  std::vector<DenseWeights> dense;  // of each layer of the classifier: what adapters begin with

  // By layer and number, as ModelSpec::linears counts them.
  const LinearWeights& linear_at(int64_t layer, size_t i) const {
    return layer < 0 ? embedding_linear : layer == int64_t(blocks.size()) ? final_linear : blocks[size_t(layer)].linears[i];
  }
  LinearWeights& linear_at(int64_t layer, size_t i) { return const_cast<LinearWeights&>(std::as_const(*this).linear_at(layer, i)); }
  const LinearWeights* linear_of(const ModelSpec&, const std::string& module) const;  // null where there is none

  int64_t parameters = 0;    // the tied head counts once

  void check_unchanged() const;  // of its files, since they were mapped. Error E_FILE_CHANGED
  void drop_copies() { copies_.clear(); }  // in order, of weights that are the backend's by now

 private:
  const void* mapped(const FileRange&, const std::string& tensor);
  // The weight itself, or a copy that has its rows in order.
  Weight in_order(const TensorEntry&, const StoredWeight&);
  void enlarge_pages(const ModelSource&, bool copies);
  // The weight in order, or quantised.
  Weight loaded(const ModelSource&, const std::string& name, const StoredWeight&);
  Weight quantized(const TensorEntry&, const StoredWeight&);
  Weight table(const ModelSource&, const std::string& name, int64_t rows, int64_t cols);
  LinearWeights linear(const ModelSource&, const std::string& module, const LinearSpec&);
  const TensorEntry& entry(const ModelSource&, const std::string& name) const;
  StoredWeight view(const ModelSource&, const std::string& name, int64_t rows, int64_t cols);
  std::vector<float> values(const ModelSource&, const std::string& name, int64_t rows, int64_t cols);
  void dense_layer(const ModelSource&, const LinearSpec&);
  std::vector<float>& vector_f32(const ModelSource&, const std::string& name, int64_t n);
  // The tensors of a norm, named by `name` from the names of its description; with its offset and factor.
  template <class Name>
  NormWeights norm(const ModelSource&, const BlockSpec::SizedNorm&, Name&& name);

  std::map<std::string, std::shared_ptr<const MappedFile>> files_;  // shared with other models of this process
  std::map<std::string, const TensorEntry*> index_;
  std::deque<std::vector<float>> vectors_;
  std::deque<std::vector<char>> copies_;
  std::vector<std::shared_ptr<const QuantizedWeight>> quantized_;
  // While the weights are loaded:
  ThreadPool* pool_ = nullptr;
  LoadProgress* progress_ = nullptr;
};

}  // namespace lowrank
