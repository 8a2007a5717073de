// One model, with any number of adapters that train and texts that are generated: training step, evaluation and generation.
// Not thread-safe: one thread owns it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "group/sums.h"
#include "train/adapter_slot.h"
#include "train/base.h"
#include "train/text_slot.h"

namespace lowrank {

using AdapterSpecs = std::vector<AdapterSpec>;
// The number of no adapter; an adapter's number is its place among the given and added ones.
constexpr int kNoAdapter = -1;

// The memory of an engine with these adapters and options, item by item. Nothing is allocated or opened.
std::vector<MemoryItem> plan_memory(const ModelSource&, const AdapterSpecs&, const EngineOptions&);

class Engine {
 public:
  // backend: null takes the options' device.
  Engine(const ModelSource&, const AdapterSpecs&, const EngineOptions&, LoadProgress&, std::unique_ptr<Backend> backend = nullptr);

  // One more; its number. The buffers of passes grow where its rank or dropout asks for it. Error E_STATE while gradients are summed over the ranks.
  int add_adapter(const AdapterSpec&);
  // Frees its memory; its number is not used again. Texts that were begun with it cannot go on.
  void remove_adapter(int number);
  // Error E_STATE where there is none of this number.
  AdapterSlot& adapter(int number = 0) const;
  int64_t trainable_parameters(int number = 0) const { return adapters_.empty() ? 0 : adapter(number).layout().elements(); }
  int64_t base_parameters() const { return base_.weights().parameters; }
  // After each use: results computed from a file that somebody changed meanwhile are worth nothing. Error E_FILE_CHANGED.
  void check_files() const { base_.weights().check_unchanged(); }

  // gradients += loss_scale * state's loss_scale * d(sum of token losses), and that sum is added to the adapter's state. Error E_BATCH.
  // is_last: of this rank before the step. The sums over the ranks begin with the blocks that are done while lower ones go backward.
  void forward_backward(const Batch&, double loss_scale, uint64_t rng_stream, int adapter = 0, bool is_last = false);
  // The step of the adapter (AdapterSlot::step) with the gradients and losses of all ranks. Error E_GROUP; E_OPTIONS before anything is summed.
  void optimizer_step(const OptimizerOptions&, int adapter = 0);
  // The ranks that train together; before join() it is alone.
  Group& group() { return *group_; }
  void join(std::unique_ptr<Group>);
  // After it: a device that has a way of its own to the other ranks joins them there. Error E_GROUP
  void join_devices();
  // How sums of gradients are made on a device that has a way of its own to the other ranks, or why it has none; empty on a processor.
  const DeviceSums& device_sums() const { return device_sums_; }
  // The last call of the group: Group::finish.
  void leave();
  // adapter: its number in an engine that has adapters; else, and with kNoAdapter, the base alone.
  double evaluate(const Batch&, int adapter = 0);
  std::vector<float> logits(const Batch&, int adapter = 0);  // (M, V)
  // Of a classifier: logits (S, labels) of the sequences and, where the batch has labels, the sum of their losses.
  struct Classified {
    std::vector<float> logits;
    double loss = 0;
  };
  Classified classify(const Batch&, int adapter = 0);

  // Returns the first token of text number `text`, and each next one.
  // like: number of a text (or of this one, as it was) that was started with this adapter as it is now; keys and values of the tokens that both
  // begin with are taken from its cache, to the same bits. kNoText: none.
  static constexpr int kNoText = -1;
  int32_t generate_start(const std::vector<int32_t>& prompt, const Sampling&, int adapter = 0, int text = 0, int like = kNoText);
  int32_t generate_next(int32_t token, int text = 0);
  // The next token of each of these texts, which have one adapter and go through the model together. Each is generate_next's, bit for bit.
  std::vector<int32_t> generate_next_of(const std::vector<int32_t>& texts, const std::vector<int32_t>& tokens);

  // Row-major bytes of W + scale * B A in the weight's dtype, rounded once. A weight that was quantised while it was loaded
  // is merged from its file. With `decoded` W is the weight that products are computed with, decoded where it is quantised; the bytes
  // are of this dtype, and a linear of a block or a head without an adapter is decoded alone. Error E_TARGET for an unknown module.
  std::vector<uint8_t> merged_weight(const std::string& module, int adapter = 0, std::optional<DType> decoded = std::nullopt) const;
  // The same of a module that trains whole.
  std::vector<uint8_t> merged_whole(const AdapterTensor&, int adapter, std::optional<DType> decoded) const;
  // The base's table with the rows of single tokens.
  std::vector<uint8_t> merged_rows(const RowsPlace&, const std::string& table, int adapter, std::optional<DType> decoded) const;

  // The same of a bias with the bias of B, for adapters that have one: of the stored format. Error E_TARGET where the base has no bias.
  std::vector<uint8_t> merged_bias(const std::string& module, DType, int adapter = 0) const;

  // Events since the last call, of an engine with options.profile. Error E_STATE.
  std::vector<ProfileEvent> take_profile();
  // The backend's best FLOP/s of a product. Measured in the first call, for some tens of milliseconds, and where `again` is asked for:
  // the best of all counts, for others may have been busy.
  double matmul_peak(bool again = false) { return base_.matmul_peak(again); }
  void trim() { base_.trim(); }
  // Backend's.
  std::string plans() const { return base_.backend().plans(); }
  std::string take_plans(const std::string& text) { return base_.backend().take_plans(text); }
  // Pieces' passes that the device repeated as it had recorded them (Backend::repeat).
  int64_t repeated() const { return base_.backend().repeated(); }
  int64_t largest_recording() const { return base_.backend().largest_recording(); }

 private:
  // Before an adapter's first pass: what a device chooses for its passes of any number of tokens.
  void plan_passes(AdapterSlot&);
  // The training pass of a piece, whose numbers are uploaded at once, as a function that enqueues its operations. key: what else they follow from.
  std::function<void()> training_pass(const Base::Piece&, AdapterSlot&, const Varying&, std::function<void(int64_t layer)> done, Backend::RepeatKey& key);
  // Error E_STATE where the model is, or is not, a classifier.
  void require_head() const;
  void require_classifier() const;
  // Error E_STATE on a device: the base's tables lie in its memory, and are decoded by the host.
  void require_host() const;
  Adapter view(int adapter) const;
  TextSlot& text(int number);
  int64_t take_prefix(const std::vector<int32_t>& prompt, int adapter, const TextSlot& from, TextSlot& to);
  bool depends_on_others() const;
  // New tokens of texts; each of several texts has one. The token after them.
  struct Grown {
    TextSlot* text;
    const int32_t* ids;
    int64_t count;
    int64_t length;  // of the text with these, and of a prompt as a whole: a rotary table may depend on it
  };
  std::vector<int32_t> next_tokens(const std::vector<Grown>&);

  AdapterNeeds needs_;
  Base base_;
  Gradients gradients_;
  std::vector<std::unique_ptr<AdapterSlot>> adapters_;  // null: removed
  std::vector<TextSlot> texts_;
  std::unique_ptr<Group> group_;
  DeviceSums device_sums_;
  std::optional<Sums> sums_;  // of the gradients: it ends before their memory
};

}  // namespace lowrank
