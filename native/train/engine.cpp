// Setting up an engine; the training step is in step.cpp, generation in generate.cpp.
#include "train/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "model/finite.h"
#include "ops/backends.h"

namespace lowrank {

namespace {

// Beyond them sizes in bytes may not be numbers any more.
constexpr int64_t kMostThreads = 4096, kMostTokens = std::numeric_limits<int32_t>::max(), kMostRank = 1 << 16;

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
}

void check_adapter_spec(const AdapterSpec& s) {
  if (s.rank < 1 || s.rank > kMostRank) {
    throw Error("E_OPTIONS", "The adapter's rank is " + std::to_string(s.rank) + ", expected 1 to " + std::to_string(kMostRank) + ".", "lora_r");
  }
  if (!(s.dropout >= 0 && s.dropout < 1)) {
    throw Error("E_OPTIONS", "lora_dropout is " + std::to_string(s.dropout) + ", expected 0 <= lora_dropout < 1.", "lora_dropout");
  }
}

// Before anything is made of them.
EngineOptions checked(const ModelSource& source, const AdapterSpec* spec, const EngineOptions& options) {
  check_options(options);
  if (spec) check_adapter_spec(*spec);
  if (options.training && !spec) throw Error("E_OPTIONS", "Training needs an adapter.");
  return options_for(source, options);
}

}  // namespace

std::vector<MemoryItem> plan_memory(const ModelSource& source, const AdapterSpec* spec, const EngineOptions& options) {
  check_options(options);
  check_source(source);
  const AdapterLayout adapters = spec ? AdapterLayout(source.spec, *spec) : AdapterLayout();
  const EngineOptions all = options_for(source, options);
  const OpLimits limits = op_limits(source.spec, adapters, spec, all);
  Arena arena;
  const Layout layout(arena, source.spec, adapters, all, workspace_bytes(limits, int(all.threads)));
  std::vector<MemoryItem> items;
  int64_t mapped = 0, quantized = 0;
  for (const auto& t : source.tensors) {
    if (t.quantize.format == Format::f32) mapped += t.bytes + t.absmax.bytes + t.absmax_codes.bytes;
    else quantized += quantized_bytes(t.quantize, t.shape[0], t.shape[1]);
  }
  if (options.copies_weights) items.push_back({"weights", mapped});
  else items.push_back({"weights (mapped)", mapped, MemoryPlace::mapped});
  if (quantized > 0) items.push_back({"weights (quantised)", quantized});
  items.insert(items.end(), arena.items().begin(), arena.items().end());
  return items;
}

Engine::Engine(const ModelSource& source, const AdapterSpec* spec, const EngineOptions& options, LoadProgress& progress)
    : model_(source.spec),
      options_(checked(source, spec, options)),
      spec_(spec ? *spec : AdapterSpec()),
      adapters_(spec ? AdapterLayout(source.spec, *spec) : AdapterLayout()),
      weights_(source, int(options.threads), options.copies_weights, progress),
      rope_(source.spec.block.attention.rope, source.spec.block.attention.head_dim, options.max_sequence) {
  for (const LinearSpec* l : model_.block.linears()) names_.push_back(l->module.substr(l->module.rfind('.') + 1));
  backend_ = make_backend(int(options.threads));
  if (options.profile) {
    profile_ = std::make_unique<Profile>();
    backend_->observe(profile_.get());
  }
  const OpLimits limits = op_limits(model_, adapters_, spec, options_);
  layout_ = std::make_unique<Layout>(arena_, model_, adapters_, options_, backend_->workspace_bytes(limits));
  arena_.commit(backend_->allocate(arena_.total_bytes()));
  backend_->set_workspace(limits, arena_.at(layout_->workspace));
  for (size_t i = 0; i < adapters_.sites().size(); i++) {
    const std::vector<float> a = initial_a(adapters_, i, spec_.seed);
    parameters().write(adapters_.sites()[i].a_offset * 4, int64_t(a.size()) * 4, a.data());
  }
}

double Engine::matmul_peak(bool again) {
  if (matmul_peak_ == 0 || again) {
    backend_->observe(nullptr);
    const std::span scratch(arena_.at<char>(layout_->scratch()), size_t(arena_.total_bytes() - layout_->scratch()));
    matmul_peak_ = std::max(matmul_peak_, lowrank::matmul_peak(*backend_, options_.act, op_limits(model_, adapters_, &spec_, options_), scratch));
    backend_->observe(profile_.get());
  }
  return matmul_peak_;
}

std::vector<ProfileEvent> Engine::take_profile() {
  if (!profile_) throw Error("E_STATE", "This engine was opened without profile.");
  return profile_->take();
}

float* Engine::training_buffer(int64_t offset) const {
  if (!options_.training) throw Error("E_STATE", "This engine was opened without training.");
  return arena_.at<float>(offset);
}

float* Engine::f32_moments(int64_t offset) const {
  if (options_.adamw_8bit) throw Error("E_STATE", "This engine's optimizer keeps its moments in 8 bits.");
  return training_buffer(offset);
}

uint8_t* Engine::moment_bytes_at() const {
  if (!options_.adamw_8bit) throw Error("E_STATE", "This engine's optimizer keeps its moments in f32.");
  return reinterpret_cast<uint8_t*>(training_buffer(layout_->moments));
}

std::vector<uint8_t> Engine::merged_weight(const std::string& module) const {
  for (const AdapterSite& s : adapters_.sites()) {
    if (s.name != module) continue;
    const Weight w = weights_.blocks[size_t(s.layer)].linears[s.linear].stored;
    const float scale = spec_.scale();
    if (!w.plain()) throw Error("E_QUANTIZED", "Module \"" + module + "\" is stored as " + format_name(w.format) + ": merging needs f32, bf16 or f16.", module);
    std::vector<float> a(size_t(adapters_.rank() * s.in)), b(size_t(s.out * adapters_.rank()));
    parameters().read(s.a_offset * 4, int64_t(a.size()) * 4, a.data());
    parameters().read(s.b_offset * 4, int64_t(b.size()) * 4, b.data());
    const DType type = dtype_of(w.format);
    std::vector<uint8_t> bytes(size_t(s.out * s.in * dtype_bytes(type)));
    std::vector<float> delta(static_cast<size_t>(s.in));
    for (int64_t o = 0; o < s.out; o++) {
      std::fill(delta.begin(), delta.end(), 0.f);
      for (int64_t r = 0; r < adapters_.rank(); r++) {
        const float f = b[size_t(o * adapters_.rank() + r)];
        for (int64_t i = 0; i < s.in; i++) delta[size_t(i)] += f * a[size_t(r * s.in + i)];
      }
      for (int64_t i = 0; i < s.in; i++) {
        store_f32(bytes.data(), type, o * s.in + i, w.get(o, i) + scale * delta[size_t(i)]);
      }
    }
    if (!holds_numbers(w.format, reinterpret_cast<const char*>(bytes.data()), s.out * s.in)) {
      throw Error("E_NAN", "Module \"" + module + "\": the merged weight is beyond what " + format_name(w.format) + " holds. Merge into a base with a larger range.", module);
    }
    return bytes;
  }
  throw Error("E_TARGET", "Module \"" + module + "\" has no adapter.", module);
}

}  // namespace lowrank
