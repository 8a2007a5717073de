#include "train/layout.h"

#include "ops/backends.h"

namespace lowrank {

EngineOptions options_for(const ModelSource& source, EngineOptions o) {
  const auto in_codes = [](const TensorEntry& t) { return t.gradient_codes != GradientCodes::none; };
  if (o.device != "cpu" && std::any_of(source.tensors.begin(), source.tensors.end(), in_codes)) {
    throw Error("E_QUANTIZED", "int8_backward is not supported on " + o.device + ": leave it out, or train with --device cpu.", "int8_backward");
  }
  o.offload_checkpoints = o.offload_checkpoints && memory_place(o.device) == MemoryPlace::device;
  for (const TensorEntry& t : source.tensors) {
    o.rounds_activations = o.rounds_activations || t.outlier_threshold > 0;
    o.rounds_gradients = o.rounds_gradients || (o.training && t.gradient_codes != GradientCodes::none);
    const bool plain = t.format == format_of(o.act) && t.quantize.format == Format::f32 && t.interleaved == 0;
    if (t.shape.size() == 2 && !plain) o.decoded = std::max(o.decoded, t.shape[0] * t.shape[1]);
    // Rows whose statistics lie elsewhere, or that are the head's, too, are with the backend.
    const bool is_alone = t.name == source.spec.embedding && (!source.spec.tied_head || source.spec.classifier) && !t.transposed && t.row_blocks.empty();
    if (is_alone && o.offload_embedding && t.absmax.bytes == 0 && t.quantize.format == Format::f32 && !is_four_bit(t.format) && memory_place(o.device) == MemoryPlace::device) {
      o.offloaded_row = format_bytes(t.format, source.spec.table_dim());
    }
  }
  return o;
}

OpLimits op_limits(const ModelSpec& model, const AdapterNeeds& adapters, const EngineOptions& o) {
  OpLimits limits;
  limits.tokens = std::max(o.piece_tokens(), o.evaluation_tokens());
  limits.kv_tokens = std::max(limits.tokens, o.max_sequence);
  limits.max_sequence = o.max_sequence;
  model.each_linear([&](int64_t, size_t, const LinearSpec& l) { limits.features = std::max({limits.features, l.out, l.in}); });
  limits.model_dim = model.table_dim();  // of the head
  limits.features = std::max(limits.features, model.table_dim());
  limits.vocab = model.classifier ? 1 : model.vocab;  // of the head
  limits.rank = adapters.rank();
  limits.heads = model.block.attention.heads;
  limits.kv_heads = model.block.attention.kv_heads;
  limits.head_dim = model.block.attention.head_dim;
  limits.act = o.act;
  limits.training = o.training;
  limits.dropout = adapters.dropout();
  limits.rounds_activations = o.rounds_activations;
  limits.rounds_gradients = o.rounds_gradients;
  limits.decoded = o.decoded;
  limits.head_trains = o.training && (adapters.head() || adapters.head_rows() > 0);
  limits.head_rows = adapters.head_rows();
  limits.sampled = o.cache_tokens > 0 ? std::min(o.texts, kMostTogether) : 0;
  // Trained tables and rows are f32.
  if (adapters.head_rows() > 0 && o.act != DType::f32) limits.decoded = std::max(limits.decoded, adapters.head_rows() * model.table_dim());
  if (adapters.head() && o.act != DType::f32) limits.decoded = std::max(limits.decoded, model.vocab * model.table_dim());
  return limits;
}

bool AdapterNeeds::include(const AdapterLayout& layout, const AdapterSpec& spec) {
  bool more = false;
  const auto raise = [&](auto& most, auto value) {
    more = more || value > most;
    most = std::max(most, value);
  };
  for (const AdapterSite& s : layout.sites()) raise(ranks_[place(s.layer) + s.linear], s.rank);
  raise(rank_, layout.rank());
  raise(dropout_, spec.dropout > 0);
  raise(dora_, spec.dora);
  raise(dropped_dora_, spec.dora && spec.dropout > 0);
  raise(embedding_, layout.embedding_trains());
  raise(embedding_rows_, layout.embedding_rows().offset >= 0);
  raise(head_rows_, layout.head_rows().count());
  raise(head_, layout.head().weight >= 0);
  return more;
}

Layout::Layout(Arena& arena, const ModelSpec& model, const AdapterNeeds& adapters, const EngineOptions& o, int64_t workspace_bytes)
    : model_(model), options_(o), shared_layers_(o.training ? std::min(o.checkpointed_blocks, model.layers) : model.layers), adapters_(adapters.sizes()), embedding_trains_(adapters.embedding()), embedding_rows_(adapters.embedding_rows()), head_rows_(adapters.head_rows()) {
  workspace = arena.reserve("workspace", workspace_bytes);
  for (const AttentionKind& kind : model.block.attention.kinds) {
    const int64_t angles = kind.rotates ? o.max_sequence * model.block.attention.rotary_dim / 2 * 4 : 0;
    const int64_t cos = arena.reserve("buffers", angles);
    rotary.push_back({cos, arena.reserve("buffers", angles)});
  }
  if (!model.block.attention.key_bias.slopes.empty()) key_bias = arena.reserve("buffers", model.block.attention.heads * o.max_sequence * 4);
  loss = arena.reserve("buffers", int64_t(sizeof(double)));
  if (o.offloaded_row > 0) {
    const int64_t tokens = std::max(o.piece_tokens(), o.evaluation_tokens());
    table_bytes_ = tokens * o.offloaded_row;
    table = arena.reserve("buffers", table_bytes_);
    numbers = arena.reserve("buffers", tokens * int64_t(sizeof(int32_t)));
  }

  blocks_.resize(slot(model.layers - 1) + 1);
  block_inputs.resize(o.training ? size_t(std::max<int64_t>(0, highest_computed_again() + 1)) : 0);
  for (int64_t l = 0; l < model.layers; l++) {
    const auto ranks = adapters.ranks(l);
    if (ranks_.size() <= slot(l)) ranks_.emplace_back(ranks.size());
    for (size_t i = 0; i < ranks.size(); i++) ranks_[slot(l)][i] = std::max(ranks_[slot(l)][i], ranks[i]);
  }
  const auto all = [](std::span<const int64_t> ranks) { return std::vector<int64_t>(ranks.begin(), ranks.end()); };
  embedding_ranks_ = all(adapters.ranks(ModelSpec::kBeforeBlocks));
  final_ranks_ = all(adapters.ranks(model.layers));
  tokens_begin_ = arena.total_bytes();
  keep_ = o.training;
  place(Place(o.piece_tokens(), keep_, o.act, [&](const char* item, int64_t bytes) { return arena.reserve(item, bytes); }));
  place_evaluation(o.evaluation_tokens());
  arena.reserve("buffers", std::max<int64_t>(0, end_ - arena.total_bytes()));
}

void Layout::place(int64_t tokens, bool keep) {
  keep_ = keep;
  end_ = tokens_begin_;
  place(Place(tokens, keep, options_.act, [&](const char*, int64_t bytes) {
    const int64_t at = end_;
    end_ += Arena::aligned(bytes);
    return at;
  }));
}

void Layout::place(Place p) {
  const int64_t ints = p.tokens() * int64_t(sizeof(int32_t)), offsets = std::max(2 * (ints + int64_t(sizeof(int32_t))), 4 * options_.texts * int64_t(sizeof(int32_t)));
  token_buffers = {p.bytes(ints), p.bytes(ints), p.bytes(offsets), p.bytes(ints), p.bytes(ints)};
  if (model_.type_rows > 0) token_buffers.types = p.bytes(ints);
  token_buffers.varying = p.bytes(int64_t(sizeof(Varying)));
  if (embedding_rows_) {
    token_buffers.own_places = p.bytes(ints);
    token_buffers.own_rows = p.bytes(ints);
    own_embeddings = p.buffer(model_.table_dim(), DType::f32);
  }
  stream.place(p, model_.dim);
  if (embedding_trains_ && model_.embedding_norm) embedding_norm.place(p, model_.dim);
  shared.place(p, model_, adapters_);
  if (model_.embedding_linear) {
    embedded = p.buffer(model_.table_dim(), DType::f32);
    embedded_act = p.kept(model_.table_dim());
    embedding_linear.place(p, model_.linears(ModelSpec::kBeforeBlocks), embedding_ranks_, adapters_.dora, shared.linears);
  }
  for (size_t i = 0; i < (keep_ ? blocks_.size() : 1); i++) blocks_[i].place(p, model_, ranks_[i], adapters_.dora, shared);
  if (keep_) {
    int64_t offloaded = 0;
    if (options_.offload_checkpoints && highest_computed_again() >= 0) between = p.buffer(model_.dim, DType::f32);
    for (Rows& input : block_inputs) {
      const bool leaves = options_.offload_checkpoints && &input != &block_inputs.back();  // the last one's stays in `between`
      input = leaves ? Rows{offloaded, model_.dim, DType::f32} : options_.offload_checkpoints ? between : p.kept(model_.dim, DType::f32);
      if (leaves) offloaded += Arena::aligned(p.tokens() * model_.dim * dtype_bytes(DType::f32));
    }
    offloaded_bytes_ = std::max(offloaded_bytes_, offloaded);
  }
  final.place(p, model_, final_ranks_, adapters_.dora, shared.linears);
  if (model_.classifier) {
    token_buffers.class_labels = p.bytes(p.tokens() * model_.classifier->label_width() * int64_t(sizeof(float)));
    classifier.place(p, model_);
  } else {
    head.place(p, model_);
  }
  if (!keep_ && head_rows_ > 0) own_logits = p.bytes(p.tokens() * head_rows_ * int64_t(sizeof(float)));
  if (!keep_ && options_.cache_tokens > 0) {
    logits = p.bytes(options_.texts * model_.vocab * int64_t(sizeof(float)));
    sample_rows = p.bytes(options_.texts * int64_t(sizeof(SampleRow)));
    next_tokens = p.bytes(options_.texts * int64_t(sizeof(int32_t)));
  }
}

}  // namespace lowrank
