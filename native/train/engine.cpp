// Setting up an engine; the training step is in step.cpp, generation in generate.cpp.
#include "train/engine.h"

#include <cmath>
#include <limits>
#include <map>

#include "model/finite.h"
#include "ops/backends.h"

namespace lowrank {

namespace {

// Beyond them sizes in bytes may not be numbers any more.
constexpr int64_t kMostThreads = 4096, kMostTokens = std::numeric_limits<int32_t>::max(), kMostTexts = 4096;

void check_options(const EngineOptions& o) {
  if (o.checkpointed_blocks < 0) throw Error("E_OPTIONS", "checkpointedBlocks must not be negative.");
  if (o.threads < 1 || o.max_tokens < 1 || o.max_sequence < 1) {
    throw Error("E_OPTIONS", "threads, maxTokens and maxSequence must be at least 1.");
  }
  if (o.threads > kMostThreads || o.max_tokens > kMostTokens || o.max_sequence > kMostTokens) {
    throw Error("E_OPTIONS", "threads is at most " + std::to_string(kMostThreads) + ", maxTokens and maxSequence at most " + std::to_string(kMostTokens) + ".");
  }
  if (o.cache_tokens < 0 || o.cache_tokens > o.max_sequence) {
    throw Error("E_OPTIONS", "cacheTokens must be from 0 to maxSequence.");
  }
  if (o.texts < 1 || o.texts > kMostTexts) throw Error("E_OPTIONS", "texts must be from 1 to " + std::to_string(kMostTexts) + ".");
}

void check_positions(const ModelSpec& model, const EngineOptions& o) {
  const int64_t most = model.most_positions();
  if (most == 0 || o.max_sequence <= most) return;
  throw Error("E_OPTIONS", "The model has learned " + std::to_string(most) + " positions: sequences of " + std::to_string(o.max_sequence) +
                               " tokens (maxSequence) are too long. Set max_length to at most " + std::to_string(most) + ".",
              "max_length");
}

// Before anything is made of them.
EngineOptions checked(const ModelSource& source, const AdapterSpecs& adapters, const EngineOptions& options) {
  check_options(options);
  check_positions(source.spec, options);
  if (options.training && adapters.empty()) throw Error("E_OPTIONS", "Training needs an adapter.");
  return options_for(source, options);
}

// Before step 1: a device has no such kernels.
void check_tokens(const AdapterSpec& adapter, const EngineOptions& o) {
  if (adapter.tokens.empty() || memory_place(o.device) == MemoryPlace::host) return;
  throw Error("E_OPTIONS", "trainable_token_indices is built for --device cpu alone.", "trainable_token_indices");
}

void check_embedding(const AdapterLayout& layout, const EngineOptions& o) {
  if (layout.embedding() < 0 || !o.offload_embedding || memory_place(o.device) == MemoryPlace::host) return;
  throw Error("E_OPTIONS", "offload_embedding leaves the embedding with the host, where it cannot train. Leave it out, or leave the embedding out of modules_to_save.", "offload_embedding");
}

AdapterNeeds needs_of(const ModelSpec& model, const AdapterSpecs& adapters, const EngineOptions& options) {
  AdapterNeeds needs(model);
  for (const AdapterSpec& a : adapters) {
    check_adapter_spec(a);
    check_tokens(a, options);
    const AdapterLayout layout(model, a);
    check_embedding(layout, options);
    needs.include(layout, a);
  }
  return needs;
}

PassSize pass_size(const ModelSpec& model, const EngineOptions& o) {
  PassSize size{.tokens = o.piece_tokens(), .blocks = model.layers, .again_blocks = std::min(o.checkpointed_blocks, model.layers)};
  model.each_linear([&](int64_t layer, size_t, const LinearSpec&) {
    size.linears++;
    size.again_linears += layer >= 0 && layer < size.again_blocks;
  });
  return size;
}

// Values beyond the type's range would be written as infinity. what: a module or tensor and its part, `where` the former alone.
void expect_numbers(const std::vector<uint8_t>& bytes, DType type, const std::string& what, const std::string& where) {
  const Format format = format_of(type);
  if (holds_numbers(format, reinterpret_cast<const char*>(bytes.data()), int64_t(bytes.size()) / dtype_bytes(type))) return;
  throw Error("E_NAN", what + " is beyond what " + format_name(format) + " holds. Merge into a base with a larger range.", where);
}

}  // namespace

std::vector<MemoryItem> plan_memory(const ModelSource& source, const AdapterSpecs& adapters, const EngineOptions& options) {
  check_options(options);
  check_source(source);
  check_positions(source.spec, options);
  const EngineOptions all = options_for(source, options);
  const AdapterNeeds needs = needs_of(source.spec, adapters, options);
  const OpLimits limits = op_limits(source.spec, needs, all);
  Arena arena;
  int64_t elements = 0, held = 0;
  for (const AdapterSpec& a : adapters) {
    const AdapterLayout layout(source.spec, a);
    held += AdapterSlot::plan(arena, layout, a, all);
    elements = std::max(elements, layout.elements());
  }
  if (all.training) arena.reserve("gradients", Gradients::bytes(elements));
  for (int64_t i = 0; i < all.texts; i++) TextSlot::plan(arena, source.spec, all);
  const Layout layout(arena, source.spec, needs, all, workspace_bytes(limits, all.device, int(all.threads)));
  std::map<std::string, AdapterColumns> columns;
  source.spec.each_linear([&](int64_t layer, size_t i, const LinearSpec& l) { columns[source.spec.module(layer, l) + ".weight"] = needs.columns(layer, i, source.spec); });
  // Bytes of adapters' columns that lie behind a weight's own.
  const auto columns_beside = [&](const TensorEntry& t) -> int64_t {
    const auto its = columns.find(t.name);
    if (its == columns.end() || t.format != format_of(all.act) || t.interleaved > 0 || t.transposed) return 0;
    return t.shape[0] * (resident_columns(t.shape[0], t.shape[1], all.act, its->second, all.device) - t.shape[1]) * dtype_bytes(all.act);
  };
  std::vector<MemoryItem> items;
  // copies: with rows in order. One that is quantised is there for that time alone.
  int64_t mapped = 0, quantized = 0, offloaded = 0, rests = 0, copies = 0, largest_copy = 0;
  const MemoryPlace place = memory_place(all.device);
  for (const auto& t : source.tensors) {
    if (all.offloaded_row > 0 && t.name == source.spec.embedding) {
      offloaded += t.bytes;
      continue;
    }
    const bool is_stored = t.quantize.format == Format::f32;
    const int64_t bytes = is_stored ? t.bytes + columns_beside(t) + t.absmax.bytes + t.absmax_codes.bytes : quantized_bytes(t.quantize, t.shape[t.transposed], t.shape[!t.transposed]);
    const bool is_copied = !t.row_blocks.empty() && t.shape.size() > 1;
    if (is_copied && is_stored) copies += t.bytes;
    else if (is_copied) largest_copy = std::max(largest_copy, t.bytes);
    // A processor's products read the copy, a device uploads it.
    if (!is_stored) quantized += bytes;
    else if (!is_copied || place == MemoryPlace::device) mapped += bytes;
    rests += allocation_rest(bytes, all.device);
  }
  // A device holds the only copy that stays: mapped pages are read once.
  if (options.copies_weights || place == MemoryPlace::device) items.push_back({"weights", mapped, place});
  else items.push_back({"weights (mapped)", mapped, MemoryPlace::mapped});
  if (offloaded > 0) items.push_back({"embedding (mapped)", offloaded, MemoryPlace::mapped});
  if (layout.table_bytes() > 0) items.push_back({"embedding rows (pinned)", layout.table_bytes(), MemoryPlace::host});
  if (layout.offloaded_bytes() > 0) items.push_back({"checkpoints (pinned)", layout.offloaded_bytes(), MemoryPlace::host});
  if (quantized > 0) items.push_back({"weights (quantised)", quantized, place});
  // Weights are loaded before the arena's items are in use.
  copies += std::max<int64_t>(0, largest_copy - (place == MemoryPlace::host ? arena.total_bytes() : 0));
  if (copies > 0) items.push_back({"weights in order", copies, MemoryPlace::host});
  // First factors are made before the other items are in use: of the host's memory, they need the bytes beyond these.
  const int64_t unused = place == MemoryPlace::host ? arena.total_bytes() - held : 0;
  int64_t factors = 0;
  for (MemoryItem item : arena.items()) {
    item.place = place;
    item.idle = place == MemoryPlace::host && Layout::is_scratch(item);
    items.push_back(std::move(item));
  }
  for (MemoryItem& item : device_items(limits, pass_size(source.spec, all), all.device)) items.push_back(std::move(item));
  if (rests > 0) items.push_back({"rests of pages", rests, place});
  for (const AdapterSpec& a : adapters) factors = std::max(factors, AdapterSlot::initial_bytes(AdapterLayout(source.spec, a), a, all.threads));
  if (factors > unused) items.push_back({"first factors", factors - unused, MemoryPlace::host});
  return items;
}

Engine::Engine(const ModelSource& source, const AdapterSpecs& adapters, const EngineOptions& options, LoadProgress& progress, std::unique_ptr<Backend> backend)
    : needs_(needs_of(source.spec, adapters, options)), base_(source, needs_, checked(source, adapters, options), progress, std::move(backend)), gradients_(base_.backend()) {
  for (const AdapterSpec& a : adapters) add_adapter(a);
  for (int64_t i = 0; i < options.texts; i++) texts_.emplace_back(base_.backend(), base_.model(), base_.options());
  join(make_group(""));
}

void Engine::join(std::unique_ptr<Group> group) {
  sums_.reset();
  device_sums_ = {};
  group_ = std::move(group);
  sums_.emplace(*group_);
}

void Engine::join_devices() {
  if (group_->size() > 1) device_sums_ = base_.backend().join(*group_);
}

void Engine::leave() {
  device_sums_.reducer.reset();
  group_->finish();
}

int Engine::add_adapter(const AdapterSpec& spec) {
  // A larger one moves the gradients.
  for (const auto& slot : adapters_) {
    if (slot) slot->expect_no_sums();
  }
  check_adapter_spec(spec);
  check_tokens(spec, base_.options());
  check_embedding(AdapterLayout(base_.model(), spec), base_.options());
  auto slot = std::make_unique<AdapterSlot>(base_.backend(), base_.model(), base_.weights(), spec, base_.options(), gradients_);
  AdapterNeeds needs = needs_;
  if (needs.include(slot->layout(), spec)) {
    try {
      base_.fit(needs);
    } catch (...) {
      base_.fit(needs_);  // the other adapters go on
      throw;
    }
    needs_ = needs;
  }
  adapters_.push_back(std::move(slot));
  return int(adapters_.size()) - 1;
}

void Engine::remove_adapter(int number) {
  adapter(number).expect_no_sums();
  adapter(number).drop_gradients();
  adapters_[size_t(number)].reset();
  for (TextSlot& t : texts_) {
    if (t.adapter == number) t.cached = -1;
  }
}

void Engine::require_head() const {
  if (base_.model().classifier) throw Error("E_STATE", "This model is a classifier: it has labels and predicts no tokens.");
}

void Engine::require_host() const {
  if (memory_place(base_.options().device) == MemoryPlace::host) return;
  throw Error("E_STATE", "Weights are decoded and merged on the CPU: open the base with --device cpu.", "device");
}

void Engine::require_classifier() const {
  if (!base_.model().classifier) throw Error("E_STATE", "This model is no classifier.");
}

AdapterSlot& Engine::adapter(int number) const {
  if (number < 0 || size_t(number) >= adapters_.size() || !adapters_[size_t(number)]) {
    throw Error("E_STATE", adapters_.empty() ? "This engine has no adapter." : "This engine has no adapter of number " + std::to_string(number) + ".");
  }
  return *adapters_[size_t(number)];
}

Adapter Engine::view(int number) const {
  static const AdapterLayout no_sites;
  static const AdapterSpec no_spec;
  if (number == kNoAdapter || (number == 0 && adapters_.empty())) return {no_sites, no_spec};
  return adapter(number).view(base_.weights());
}

std::vector<ProfileEvent> Engine::take_profile() {
  if (!base_.profile()) throw Error("E_STATE", "This engine was opened without profile.");
  return base_.profile()->take();
}

std::vector<uint8_t> Engine::merged_weight(const std::string& module, int number, std::optional<DType> decoded) const {
  const AdapterSite* site = nullptr;
  if (!adapters_.empty()) {
    for (const AdapterSite& s : adapter(number).layout().sites()) {
      if (s.name == module) site = &s;
    }
    for (const AdapterTensor& t : adapter(number).layout().tensors()) {
      const bool is_whole = t.role == AdapterTensor::Role::embedding || t.role == AdapterTensor::Role::head;
      if (is_whole && t.name == module + ".weight") return merged_whole(t, number, decoded);
    }
    const AdapterLayout& layout = adapter(number).layout();
    const ModelSpec& model = base_.model();
    if (layout.embedding_rows().offset >= 0 && model.embedding == module + ".weight") return merged_rows(layout.embedding_rows(), model.embedding, number, decoded);
    if (layout.head_rows().offset >= 0 && model.head == module + ".weight") return merged_rows(layout.head_rows(), model.head, number, decoded);
  }
  const ModelWeights& weights = base_.weights();
  const LinearWeights* linear = site ? &weights.linear_at(site->layer, site->linear) : nullptr;
  if (decoded && !linear) linear = weights.linear_of(base_.model(), module);
  const bool is_head = decoded && !linear && module + ".weight" == base_.model().head;
  if (!linear && !is_head) throw Error("E_TARGET", "Module \"" + module + "\" has no adapter" + (decoded ? ", and is no linear of this model." : "."), module);
  if (decoded) require_host();
  const StoredWeight w = is_head ? StoredWeight{weights.head, {}} : decoded ? StoredWeight{linear->w, {}} : linear->stored;
  const Format stored = w.weight.format;
  if (!decoded && !w.weight.plain()) throw Error("E_QUANTIZED", "Module \"" + module + "\" is stored as " + format_name(stored) + ": merging needs f32, bf16 or f16.", module);
  const DType type = decoded ? *decoded : dtype_of(stored);
  const int64_t out = w.weight.rows, in = w.weight.cols, rank = site ? site->rank : 0;
  std::vector<float> a(size_t(rank * in)), b(size_t(out * rank)), row(static_cast<size_t>(in));
  std::vector<float> magnitude(!site || site->magnitude_offset < 0 ? 0 : size_t(out));
  if (site) {
    AdapterSlot& slot = adapter(number);
    slot.parameters().read(site->a_offset * 4, int64_t(a.size()) * 4, a.data());
    slot.parameters().read(site->b_offset * 4, int64_t(b.size()) * 4, b.data());
    if (!magnitude.empty()) slot.parameters().read(site->magnitude_offset * 4, out * 4, magnitude.data());
  }
  const auto place = [&](int64_t o, int64_t i) { return linear && linear->stored.weight.transposed ? i * out + o : o * in + i; };
  std::vector<uint8_t> bytes(size_t(out * in * dtype_bytes(type)));
  for (int64_t o = 0; o < out; o++) {
    std::fill(row.begin(), row.end(), 0.f);
    for (int64_t r = 0; r < rank; r++) {
      const float f = b[size_t(o * rank + r)];
      for (int64_t i = 0; i < in; i++) row[size_t(i)] += f * a[size_t(r * in + i)];
    }
    double squares = 0;
    for (int64_t i = 0; i < in; i++) {
      row[size_t(i)] = site ? w.get(o, i) + site->scale * row[size_t(i)] : w.get(o, i);
      squares += double(row[size_t(i)]) * double(row[size_t(i)]);
    }
    const double factor = magnitude.empty() ? 1 : double(magnitude[size_t(o)]) / std::sqrt(squares);
    for (int64_t i = 0; i < in; i++) store_f32(bytes.data(), type, place(o, i), float(factor * double(row[size_t(i)])));
  }
  expect_numbers(bytes, type, "Module \"" + module + "\": the merged weight", module);
  return bytes;
}

std::vector<uint8_t> Engine::merged_whole(const AdapterTensor& t, int number, std::optional<DType> decoded) const {
  const Weight& w = t.role == AdapterTensor::Role::embedding ? base_.weights().embedding : base_.weights().head;
  if (!decoded && !w.plain()) throw Error("E_QUANTIZED", t.name + " is stored as " + format_name(w.format) + ": merging needs f32, bf16 or f16.", t.name);
  const DType type = decoded ? *decoded : dtype_of(w.format);
  std::vector<float> values(static_cast<size_t>(t.elements()));
  adapter(number).parameters().read(t.offset * 4, t.elements() * 4, values.data());
  std::vector<uint8_t> bytes(values.size() * size_t(dtype_bytes(type)));
  for (size_t i = 0; i < values.size(); i++) store_f32(bytes.data(), type, int64_t(i), values[i]);
  expect_numbers(bytes, type, t.name + ": the trained table", t.name);
  return bytes;
}

std::vector<uint8_t> Engine::merged_rows(const RowsPlace& rows, const std::string& table, int number, std::optional<DType> decoded) const {
  require_host();
  const Weight& w = table == base_.model().embedding ? base_.weights().embedding : base_.weights().head;
  if (!decoded && !w.plain()) throw Error("E_QUANTIZED", table + " is stored as " + format_name(w.format) + ": merging needs f32, bf16 or f16.", table);
  const DType type = decoded ? *decoded : dtype_of(w.format);
  std::vector<uint8_t> bytes(size_t(w.rows * w.cols * dtype_bytes(type)));
  for (int64_t r = 0; r < w.rows; r++) {
    for (int64_t c = 0; c < w.cols; c++) store_f32(bytes.data(), type, r * w.cols + c, w.get(r, c));
  }
  std::vector<float> values(size_t(rows.count() * w.cols));
  adapter(number).parameters().read(rows.offset * 4, int64_t(values.size()) * 4, values.data());
  for (size_t i = 0; i < values.size(); i++) {
    const int64_t row = rows.ids[i / size_t(w.cols)], column = int64_t(i % size_t(w.cols));
    store_f32(bytes.data(), type, row * w.cols + column, values[i]);
  }
  expect_numbers(bytes, type, table + ": a trained row", table);
  return bytes;
}

std::vector<uint8_t> Engine::merged_bias(const std::string& module, DType type, int number) const {
  AdapterSlot& slot = adapter(number);
  for (const AdapterTensor& t : slot.layout().tensors()) {
    if (t.role != AdapterTensor::Role::head || t.name != module + ".bias") continue;
    std::vector<float> values(static_cast<size_t>(t.rows));
    slot.parameters().read(t.offset * 4, t.rows * 4, values.data());
    std::vector<uint8_t> bytes(size_t(t.rows * dtype_bytes(type)));
    for (int64_t v = 0; v < t.rows; v++) store_f32(bytes.data(), type, v, values[size_t(v)]);
    expect_numbers(bytes, type, t.name + ": the trained bias", t.name);
    return bytes;
  }
  for (const AdapterSite& s : slot.layout().sites()) {
    const float* const base = s.name == module ? base_.weights().linear_at(s.layer, s.linear).bias : nullptr;
    if (!base || s.bias_offset < 0) continue;
    std::vector<float> values(static_cast<size_t>(s.out)), added(values.size());
    base_.backend().download(base, s.out * 4, values.data());
    slot.parameters().read(s.bias_offset * 4, s.out * 4, added.data());
    std::vector<uint8_t> bytes(size_t(s.out * dtype_bytes(type)));
    for (int64_t o = 0; o < s.out; o++) store_f32(bytes.data(), type, o, values[size_t(o)] + s.scale * added[size_t(o)]);
    expect_numbers(bytes, type, "Module \"" + module + "\": the merged bias", module);
    return bytes;
  }
  throw Error("E_TARGET", "Module \"" + module + "\" has no bias in the base, or none in the adapter.", module);
}

}  // namespace lowrank
