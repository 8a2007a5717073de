#include "train/base.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "ops/backends.h"

namespace lowrank {

namespace {

void make_resident(ModelWeights& w, const ModelSpec& m, const AdapterNeeds& adapters, const EngineOptions& o, Backend& backend) {
  const auto vector = [&](const float*& values, int64_t n) {
    if (values) values = backend.resident(values, n);
  };
  const auto norm = [&](NormWeights& of, int64_t n) {
    vector(of.weight, n);
    vector(of.bias, n);
  };
  const bool tied = w.head.data == w.embedding.data;
  if (o.offloaded_row == 0) w.embedding = backend.resident(w.embedding, {});
  if (!m.classifier) w.head = tied ? w.embedding : backend.resident(w.head, {});
  for (Weight* table : {&w.positions, &w.token_types}) {
    if (table->data) *table = backend.resident(*table, {});
  }
  vector(w.head_bias, m.vocab);
  norm(w.embedding_norm, m.dim);
  norm(w.final_norm, m.dim);
  for (size_t i = 0; i < w.dense.size(); i++) {
    const LinearSpec& l = m.classifier->layers[i].linear;
    vector(w.dense[i].w, l.out * l.in);
    vector(w.dense[i].bias, l.out);
  }
  for (BlockWeights& b : w.blocks) {
    for (size_t i = 0; i < BlockSpec::kNorms; i++) norm(b.norms[i], m.block.norms(m.dim)[i].size);
  }
  m.each_linear([&](int64_t layer, size_t i, const LinearSpec& linear) {
    LinearWeights& l = w.linear_at(layer, i);
    l.w = backend.resident(l.w, l.w.plain() && dtype_of(l.w.format) == o.act ? adapters.columns(layer, i, m) : AdapterColumns());
    vector(l.bias, linear.out);
  });
}

template <class T>
int64_t bytes_of(const std::vector<T>& v) {
  return int64_t(v.size() * sizeof(T));
}

ModelWeights::SmallPages small_pages(const EngineOptions& o) {
  using Pages = ModelWeights::SmallPages;
  return o.copies_weights ? Pages::copied : o.rereads_weights ? Pages::read_anew : Pages::stay;
}

}  // namespace

Base::Base(const ModelSource& source, const AdapterNeeds& adapters, const EngineOptions& options, LoadProgress& progress, std::unique_ptr<Backend> backend)
    : model_(source.spec),
      options_(options),
      backend_(backend ? std::move(backend) : make_backend(options.device, int(options.threads))),
      weights_(source, int(options.threads), small_pages(options), progress) {
  make_resident(weights_, model_, adapters, options_, *backend_);
  if (memory_place(options_.device) == MemoryPlace::device) weights_.drop_copies();
  if (options.profile) {
    profile_ = std::make_unique<Profile>();
    backend_->observe(profile_.get());
  }
  fit(adapters);
}

void Base::fit(const AdapterNeeds& adapters) {
  has_buffers_ = false;
  limits_ = op_limits(model_, adapters, options_);
  layout_.reset();
  arena_ = Arena();  // before there is another
  offloaded_ = table_rows_ = {};
  layout_ = std::make_unique<Layout>(arena_, model_, adapters, options_, backend_->workspace_bytes(limits_));
  arena_.commit(backend_->allocate(arena_.total_bytes()));
  if (layout_->offloaded_bytes() > 0) offloaded_ = backend_->allocate_host(layout_->offloaded_bytes());
  if (layout_->table_bytes() > 0) table_rows_ = backend_->allocate_host(layout_->table_bytes());
  backend_->set_workspace(limits_, arena_.at(layout_->workspace));
  fill_rotary(0);
  fill_key_bias();
  fill_numbers();
  has_buffers_ = true;
}

void Base::trim() {
  if (has_buffers_) backend_->trim(at<char>(layout_->scratch()), arena_.total_bytes() - layout_->scratch());
}

void Base::use_length(int64_t length) {
  if (!has_buffers_) throw Error("E_MEMORY", "The system refused the buffers of this engine when an adapter was added. Close it.");
  if (depends_on_length() && length != rotary_length_) fill_rotary(length);
}

bool Base::depends_on_length() const {
  const auto& kinds = model_.block.attention.kinds;
  return std::any_of(kinds.begin(), kinds.end(), [](const AttentionKind& k) { return k.rotates && k.rope.scaling.depends_on_length(); });
}

void Base::fill_rotary(int64_t length) {
  const AttentionSpec& a = model_.block.attention;
  for (size_t kind = 0; kind < a.kinds.size(); kind++) {
    if (!a.kinds[kind].rotates) continue;
    const RopeTable table(a.kinds[kind].rope, a.rotary_dim, options_.max_sequence, length);
    backend_->upload(table.cos.data(), bytes_of(table.cos), at<float>(layout_->rotary[kind].cos));
    backend_->upload(table.sin.data(), bytes_of(table.sin), at<float>(layout_->rotary[kind].sin));
  }
  rotary_length_ = length;
}

void Base::fill_numbers() {
  if (layout_->table_bytes() == 0) return;
  std::vector<int32_t> all(size_t(layout_->table_bytes() / options_.offloaded_row));
  std::iota(all.begin(), all.end(), 0);
  backend_->upload(all.data(), bytes_of(all), at<int32_t>(layout_->numbers));
}

void Base::fill_key_bias() {
  if (layout_->key_bias < 0) return;
  const KeyBias& bias = model_.block.attention.key_bias;
  const auto rounded = [&](float v) { return bias.rounded ? bf16_to_f32(f32_to_bf16(v)) : v; };
  std::vector<float> table;
  for (const double slope : bias.slopes) {
    for (int64_t t = 0; t < options_.max_sequence; t++) table.push_back(rounded(rounded(float(slope)) * rounded(float(t))) * float(bias.scale));
  }
  backend_->upload(table.data(), bytes_of(table), at<float>(layout_->key_bias));
}

double Base::matmul_peak(bool again) {
  use_length(rotary_length_);  // Error E_MEMORY
  if (matmul_peak_ == 0 || again) {
    backend_->observe(nullptr);
    const double found = lowrank::matmul_peak(*backend_, options_.act, limits_, at<char>(layout_->scratch()), arena_.total_bytes() - layout_->scratch());
    matmul_peak_ = std::max(matmul_peak_, found);
    backend_->observe(profile_.get());
  }
  return matmul_peak_;
}

void Base::check_labels(const Batch& b) const {
  if (b.labels.empty()) return;
  const auto fail = [](const std::string& what) { throw Error("E_BATCH", "Batch: " + what + "."); };
  if (!model_.classifier) fail("labels are for classifiers");
  const ClassifierSpec& c = *model_.classifier;
  const size_t expected = (b.offsets.size() - 1) * size_t(c.label_width());
  if (b.labels.size() != expected) fail("it has " + std::to_string(b.labels.size()) + " numbers of labels, expected " + std::to_string(expected));
  for (const float label : b.labels) {
    if (c.loss != LabelLoss::single_label_classification || (label >= 0 && label < float(c.labels()) && label == std::floor(label))) continue;
    fail("label " + std::to_string(label) + " is none of the classifier's " + std::to_string(c.labels()));
  }
}

void Base::check_batch(const Batch& b, int64_t most_tokens) const {
  const auto fail = [](const std::string& what) { throw Error("E_BATCH", "Batch: " + what + "."); };
  const int64_t m = int64_t(b.ids.size());
  if (m < 1 || b.targets.size() != b.ids.size()) fail("it must have a sequence, and as many targets as tokens");
  if (b.offsets.size() < 2 || b.offsets.front() != 0 || b.offsets.back() != m) {
    fail("offsets must start at 0 and end at the number of tokens");
  }
  for (size_t s = 0; s + 1 < b.offsets.size(); s++) {
    const int64_t n = int64_t(b.offsets[s + 1]) - b.offsets[s];
    if (n < 1) fail("sequence " + std::to_string(s) + " is empty");
    if (n > options_.max_sequence) {
      fail("sequence " + std::to_string(s) + " has " + std::to_string(n) + " tokens, but the engine was opened for " +
           std::to_string(options_.max_sequence) + " (maxSequence)");
    }
    if (n > most_tokens) {
      fail("sequence " + std::to_string(s) + " has " + std::to_string(n) + " tokens, but the engine was opened for " + std::to_string(most_tokens) +
           " at a time (maxTokens)");
    }
  }
  check_labels(b);
  if (!b.types.empty() && b.types.size() != b.ids.size()) fail("it must have as many token types as tokens");
  for (const int32_t type : b.types) {
    if (model_.type_rows > 1 && (type < 0 || type >= model_.type_rows)) {
      fail("a token has type " + std::to_string(type) + ", but the model has types up to " + std::to_string(model_.type_rows - 1));
    }
  }
  for (int64_t i = 0; i < m; i++) {
    const int32_t id = b.ids[size_t(i)], t = b.targets[size_t(i)];
    if (id < 0 || id >= model_.vocab || (t != kIgnore && (t < 0 || t >= model_.vocab))) {
      fail("token " + std::to_string(id < 0 || id >= model_.vocab ? id : t) + " is outside the vocabulary of " +
           std::to_string(model_.vocab) + ": the tokenizer does not belong to this model");
    }
  }
}

std::vector<Base::Piece> Base::pieces(const Batch& b, int64_t most_tokens) {
  check_batch(b, most_tokens);
  std::vector<Piece> list;
  int64_t longest = 0;
  for (size_t s = 0; s + 1 < b.offsets.size(); s++) {
    const int32_t begin = b.offsets[s], length = b.offsets[s + 1] - begin;
    longest = std::max<int64_t>(longest, length);
    if (list.empty() || list.back().count() + length > most_tokens) {
      list.push_back({b.ids.data() + begin, b.targets.data() + begin, {0}, begin, int64_t(s)});
      list.back().read = model_.classifier ? int64_t(s) : std::count_if(b.targets.begin(), b.targets.begin() + begin, [](int32_t t) { return t != kIgnore; });
      if (!b.types.empty()) list.back().types = b.types.data() + begin;
      if (!b.labels.empty()) list.back().labels = b.labels.data() + int64_t(s) * model_.classifier->label_width();
    }
    list.back().offsets.push_back(int32_t(list.back().count() + length));
  }
  use_length(longest);
  return list;
}

Pass Base::pass(const Piece& piece, Mode mode, const Adapter& adapter, const Varying& of_batch, std::span<const Past> past) {
  const int64_t count = piece.count(), sequences = int64_t(piece.offsets.size()) - 1;
  if (mode == Mode::train) layout_->place_training(count);
  else layout_->place_evaluation(count);
  std::vector<int32_t> positions(static_cast<size_t>(count)), offsets = piece.offsets;
  if (!past.empty()) offsets.clear();  // each text has offsets of its own
  for (size_t s = 0; s < size_t(sequences); s++) {
    const int32_t first = past.empty() ? 0 : int32_t(past[s].tokens), begin = piece.offsets[s], n = piece.offsets[s + 1] - begin;
    for (int32_t i = 0; i < n; i++) positions[size_t(begin + i)] = first + i;
    if (!past.empty()) offsets.insert(offsets.end(), {0, n, 0, first + n});
  }
  const auto upload = [&](int64_t offset, const int32_t* from, size_t n) {
    int32_t* const to = at<int32_t>(offset);
    backend_->upload(from, int64_t(n * sizeof(int32_t)), to);
    return to;
  };
  const TokenBuffers& to = layout_->token_buffers;
  const int32_t* types = nullptr;
  if (model_.type_rows > 0) {
    std::vector<int32_t> all(static_cast<size_t>(count));
    if (piece.types && model_.type_rows > 1) std::copy_n(piece.types, all.size(), all.data());
    types = upload(to.types, all.data(), all.size());
  }
  const Tokens tokens{.ids = upload(to.ids, piece.ids, size_t(count)),
                      .positions = upload(to.positions, positions.data(), positions.size()),
                      .offsets = upload(to.offsets, offsets.data(), offsets.size()),
                      .types = types,
                      .count = count,
                      .sequences = sequences};
  Varying varying = of_batch;
  varying.tokens = uint64_t(piece.first);
  varying.read = uint64_t(piece.read);
  Varying* varying_at = nullptr;
  if (mode == Mode::train && backend_->reads_varying()) {
    varying_at = at<Varying>(to.varying);
    backend_->upload(&varying, int64_t(sizeof varying), varying_at);
  }
  std::vector<CachedText> texts;
  for (size_t s = 0; s < past.size(); s++) {
    const int64_t begin = piece.offsets[s], n = piece.offsets[s + 1] - begin;
    const int32_t* const at = tokens.offsets + 4 * s;
    texts.push_back({past[s].cache, begin, n, past[s].tokens + n, at, at + 2});
  }
  std::vector<Rotary> rotary;
  for (const RotaryOffsets& kind : layout_->rotary) rotary.push_back({at<float>(kind.cos), at<float>(kind.sin)});
  Pass p{.ops = *backend_,
         .model = model_,
         .weights = weights_,
         .rotary = std::move(rotary),
         .memory = at<char>(0),
         .act = options_.act,
         .adapter = adapter,
         .mode = mode,
         .tokens = tokens,
         .varying = varying,
         .varying_at = varying_at,
         .own_tokens = own_tokens(piece, adapter),
         .texts = std::move(texts),
         .key_bias = layout_->key_bias < 0 ? nullptr : at<float>(layout_->key_bias),
         .key_bias_ld = options_.max_sequence};
  if (options_.offloaded_row > 0) embed_from_host(p, piece.ids);
  return p;
}

OwnTokens Base::own_tokens(const Piece& piece, const Adapter& adapter) {
  const RowsPlace& rows = adapter.layout.embedding_rows();
  if (rows.offset < 0) return {};
  std::vector<int32_t> places, found;
  for (int32_t i = 0; i < piece.offsets.back(); i++) {
    const auto row = rows.row_of.find(piece.ids[i]);
    if (row == rows.row_of.end()) continue;
    places.push_back(i);
    found.push_back(row->second);
  }
  int32_t *const places_at = at<int32_t>(layout_->token_buffers.own_places), *const rows_at = at<int32_t>(layout_->token_buffers.own_rows);
  backend_->upload(places.data(), bytes_of(places), places_at);
  backend_->upload(found.data(), bytes_of(found), rows_at);
  return {places_at, rows_at, int64_t(places.size())};
}

void Base::logits(const Pass& p, const Mat& x, const Mat& logits) {
  const RowsPlace& rows = p.adapter.layout.head_rows();
  const Mat own = rows.offset < 0 ? Mat() : Mat(at<float>(layout_->own_logits), DType::f32, x.rows, rows.count());
  Head::logits(p, layout_->final.once(p, x, p.mat(layout_->shared.h, x.rows, model_.dim)), logits, own);
  if (!own) return;
  std::vector<float> values(size_t(x.rows * rows.count()));
  backend_->download(own.data, bytes_of(values), values.data());
  const Buffer all(*backend_, logits.data);
  for (int64_t i = 0; i < x.rows; i++) {
    for (int64_t r = 0; r < rows.count(); r++) {
      all.write((i * model_.vocab + rows.ids[size_t(r)]) * int64_t(sizeof(float)), sizeof(float), &values[size_t(i * rows.count() + r)]);
    }
  }
}

Head::Learned Base::learned(const Piece& piece) {
  std::vector<int32_t> rows, labels;
  for (int32_t i = 0; i < piece.offsets.back(); i++) {
    if (piece.targets[i] == kIgnore) continue;
    rows.push_back(i);
    labels.push_back(piece.targets[i]);
  }
  int32_t *const rows_at = at<int32_t>(layout_->token_buffers.rows), *const labels_at = at<int32_t>(layout_->token_buffers.labels);
  backend_->upload(rows.data(), bytes_of(rows), rows_at);
  backend_->upload(labels.data(), bytes_of(labels), labels_at);
  return {rows_at, labels_at, int64_t(rows.size())};
}

Classifier::Pooled Base::pooled(const Piece& piece) {
  const ClassifierSpec& c = *model_.classifier;
  std::vector<int32_t> rows;
  for (int64_t s = 0; s < piece.sequences(); s++) {
    const int32_t first = piece.offsets[size_t(s)];
    int32_t last = piece.offsets[size_t(s) + 1] - 1;
    while (c.last_token && last > first && piece.ids[last] == c.pad_id) last--;
    rows.push_back(c.last_token ? last : first);
  }
  const TokenBuffers& to = layout_->token_buffers;
  int32_t* const rows_at = at<int32_t>(to.rows);
  float* const labels_at = at<float>(to.class_labels);
  backend_->upload(rows.data(), bytes_of(rows), rows_at);
  if (piece.labels) backend_->upload(piece.labels, piece.sequences() * c.label_width() * int64_t(sizeof(float)), labels_at);
  return {rows_at, piece.labels ? labels_at : nullptr, piece.sequences()};
}

}  // namespace lowrank
