// The frozen model of an engine, and the one set of buffers that all adapters and texts go through.
#pragma once
#include <functional>
#include <memory>
#include <span>

#include "model/rope_table.h"
#include "train/layout.h"
#include "train/profile.h"

namespace lowrank {

// Ragged sequences one after the other. targets[i]: token to be predicted at token i, or kIgnore.
struct Batch {
  std::vector<int32_t> ids, targets, offsets;
  std::vector<int32_t> types;  // token types, one a token, or none: all are 0
  std::vector<float> labels;  // of a classifier: ClassifierSpec::label_width numbers a sequence, or none
};
constexpr int32_t kIgnore = -100;

class Base {
 public:
  // backend: null takes the options' device (native/backends.cpp).
  Base(const ModelSource&, const AdapterNeeds&, const EngineOptions&, LoadProgress&, std::unique_ptr<Backend>);

  const ModelSpec& model() const { return model_; }
  const EngineOptions& options() const { return options_; }
  const ModelWeights& weights() const { return weights_; }
  Backend& backend() const { return *backend_; }
  Profile* profile() { return profile_.get(); }
  Layout& layout() { return *layout_; }
  double matmul_peak(bool again);

  // Makes the buffers large enough for adapters that ask for more. No pass is in progress. After an error there are no buffers: another
  // fit() may make them, and passes are errors until then.
  void fit(const AdapterNeeds&);
  // Gives memory that no command needs at the moment back to the system. The next pass takes it again.
  void trim();
  // Before passes with sequences of this length: "dynamic" rotary scaling depends on the longest of a batch. pieces() does it.
  void use_length(int64_t length);
  bool depends_on_length() const;

  // Places the buffers of a piece and uploads its tokens.
  struct Piece {
    const int32_t *ids, *targets;  // of the host; targets: null where nothing is to be predicted
    std::vector<int32_t> offsets;  // of its sequences
    int64_t first = 0;             // tokens of the micro-batch before these
    int64_t first_sequence = 0;
    int64_t read = 0;              // Varying's
    const float* labels = nullptr;  // of a classifier's sequences
    const int32_t* types = nullptr;  // of the host; null: all are 0
    int64_t sequences() const { return int64_t(offsets.size()) - 1; }
    int64_t count() const { return offsets.back(); }
  };
  // caches: where text is generated, the cache of each sequence and the tokens in it; positions count from there on.
  struct Past {
    Cache cache;
    int64_t tokens = 0;
  };
  // varying: of the micro-batch.
  Pass pass(const Piece&, Mode, const Adapter&, const Varying& varying = {}, std::span<const Past> past = {});
  // Logits of rows of the stream: (n, V) f32 of the backend's memory
  void logits(const Pass&, const Mat& x, const Mat& logits);
  // The piece's learned tokens, uploaded.
  Head::Learned learned(const Piece&);
  // The token of each of its sequences that a classifier reads, and the labels, uploaded.
  Classifier::Pooled pooled(const Piece&);

  // Pieces of whole sequences, at most `most_tokens` each. Error E_BATCH, also where a sequence is longer.
  std::vector<Piece> pieces(const Batch&, int64_t most_tokens);

  void forward(const Pass&);
  // done: called after each block; no gradient of it or of the head changes any more.
  void backward(const Pass&, const std::function<void(int64_t layer)>& done = {});

  template <class T>
  T* at(int64_t offset) { return arena_.at<T>(offset); }

 private:
  Mat embedded(const Pass& p) const { return p.mat(model_.embedding_linear ? layout_->embedded : layout_->stream.x); }
  OwnTokens own_tokens(const Piece&, const Adapter&);
  // The input of a checkpointed block, kept where it lies until the backward pass; with the host it goes through a buffer of the device, beside the
  // operations. begin_input: before input_again().
  void keep_input(const Pass&, int64_t layer, const Mat& x);
  void begin_input(const Pass&, int64_t layer);
  void input_again(const Pass&, int64_t layer, const Mat& x);
  int64_t input_bytes(const Pass& p) const { return p.tokens.count * model_.dim * int64_t(sizeof(float)); }
  char* offloaded_input(int64_t layer) const { return static_cast<char*>(offloaded_.data.get()) + layout_->block_inputs[size_t(layer)].offset; }
  // The rows of the tokens, of an embedding that stays with the host, into the pass's embedded tokens.
  void embed_from_host(const Pass&, const int32_t* ids);
  void check_batch(const Batch&, int64_t most_tokens) const;
  void check_labels(const Batch&) const;
  void fill_rotary(int64_t length);
  void fill_key_bias();
  void fill_numbers();

  ModelSpec model_;
  EngineOptions options_;
  std::unique_ptr<Backend> backend_;  // first: a device that is not there is told before weights are read
  ModelWeights weights_;
  std::unique_ptr<Profile> profile_;  // where operations are timed
  double matmul_peak_ = 0;
  OpLimits limits_;
  bool has_buffers_ = false;
  Arena arena_;
  Memory offloaded_, table_rows_;  // with the host
  std::unique_ptr<Layout> layout_;
  int64_t rotary_length_ = 0;  // that the tables were made for
};

}  // namespace lowrank
