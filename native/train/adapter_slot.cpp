#include "train/adapter_slot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/thread_pool.h"
#include "model/initial_factors.h"
#include "ops/backends.h"
#include "quant/moments.h"

namespace lowrank {

namespace {
constexpr int64_t kMostRank = 1 << 16;
// Of AdapterSlot::Part: above all blocks; and floats for which a message of its own pays.
constexpr int64_t kAbove = std::numeric_limits<int64_t>::max(), kLeastPart = 1 << 16;
}

namespace {
// The groups of PEFT's create_loraplus_optimizer; biases have no decay.
void set_group(AdamWPart& part, const AdapterTensor& t, const AdapterSpec& spec, const OptimizerOptions& o) {
  part.rate_factor = t.role == AdapterTensor::Role::lora_b || t.is_vector ? o.lora_plus_ratio : 1;
  const bool is_bias = t.is_vector && t.role != AdapterTensor::Role::magnitude, is_frozen = t.role == AdapterTensor::Role::lora_a && spec.freeze_a;
  part.weight_decay = is_bias || is_frozen ? 0 : o.weight_decay;
}
}  // namespace

void check_adapter_spec(const AdapterSpec& s) {
  const auto check_rank = [](int64_t rank) {
    if (rank >= 1 && rank <= kMostRank) return;
    throw Error("E_OPTIONS", "The adapter's rank is " + std::to_string(rank) + ", expected 1 to " + std::to_string(kMostRank) + ".", "lora_r");
  };
  check_rank(s.rank);
  for (const auto& [target, rank] : s.ranks) check_rank(rank);
  if (s.dora && s.bias) throw Error("E_OPTIONS", "use_dora goes with no lora_bias.", "lora_bias");
  if (!s.initial_factors.empty() && (!s.freezes_half || !is_initial_factors_method(s.initial_factors))) {
    throw Error("E_OPTIONS", "init_lora_weights is " + s.initial_factors + ", expected pissa, pissa_niter_N or olora.", "init_lora_weights");
  }
  if (!(s.neftune_alpha >= 0)) throw Error("E_OPTIONS", "neftune_noise_alpha must not be negative.", "neftune_noise_alpha");
  if (!(s.dropout >= 0 && s.dropout < 1)) {
    throw Error("E_OPTIONS", "lora_dropout is " + std::to_string(s.dropout) + ", expected 0 <= lora_dropout < 1.", "lora_dropout");
  }
}

void check_optimizer_options(const OptimizerOptions& o) {
  const auto fail = [](const char* what) { throw Error("E_OPTIONS", what); };
  if (!(o.loss_scale > 0) || !std::isfinite(o.loss_scale)) fail("lossScale must be a positive number.");
  if (!(o.tokens > 0)) fail("tokens must be a positive number.");
  if (!(o.lora_plus_ratio > 0) || !std::isfinite(o.lora_plus_ratio)) fail("loraplusLrRatio must be a positive number.");
  if (o.growth_steps < 0) fail("growthSteps must not be negative.");
  if (o.learning_rates.empty() || o.learning_rates.size() > kMostRates) fail("A step has from 1 to 64 learning rates.");
}

AdapterSlot::Offsets::Offsets(Arena& arena, const AdapterLayout& layout, const AdapterSpec& spec, const EngineOptions& o) {
  const int64_t bytes = layout.elements() * int64_t(sizeof(float)), before = arena.total_bytes();
  parameters = arena.reserve("adapters", bytes);
  if (spec.dora) {
    norms = arena.reserve("adapters", layout.outputs() * int64_t(sizeof(float)));
    factors = arena.reserve("adapters", layout.outputs() * int64_t(sizeof(float)));
  }
  held = arena.total_bytes() - before;
  if (!o.training) return;
  if (spec.freezes_half) kept = arena.reserve("adapters", bytes / 2);
  state = arena.reserve("adapters", int64_t(sizeof(StepState)));
  learning_rates = arena.reserve("adapters", int64_t(kMostRates * sizeof(float)));
  adamw_parts = arena.reserve("adapters", int64_t(layout.tensors().size() * sizeof(AdamWPart)));
  held = arena.total_bytes() - before;
  if (o.adamw_8bit) {
    adam_8bit = MomentLayout(layout);
    moments = arena.reserve("optimizer", adam_8bit.bytes());
  } else {
    adam_m = arena.reserve("optimizer", bytes);
    adam_v = arena.reserve("optimizer", bytes);
  }
}

int64_t AdapterSlot::plan(Arena& arena, const AdapterLayout& layout, const AdapterSpec& spec, const EngineOptions& options) {
  return Offsets(arena, layout, spec, options).held;
}

int64_t AdapterSlot::initial_bytes(const AdapterLayout& layout, const AdapterSpec& spec, int64_t threads) {
  if (spec.initial_factors.empty()) return 0;
  std::vector<int64_t> at_work;
  int64_t factors = 0, written = 0;
  for (const AdapterSite& s : layout.sites()) {
    at_work.push_back(initial_factors_bytes(spec.initial_factors, s.out, s.in, s.rank / 2));
    factors += s.rank / 2 * (s.out + s.in) * int64_t(sizeof(float));
    written = std::max(written, s.rank * (s.out + s.in) * int64_t(sizeof(float)));
  }
  std::sort(at_work.rbegin(), at_work.rend());
  at_work.resize(std::min(at_work.size(), size_t(threads)));
  return factors + std::max(written, std::accumulate(at_work.begin(), at_work.end(), int64_t(0)));
}

AdapterSlot::AdapterSlot(Backend& backend, const ModelSpec& model, const ModelWeights& weights, const AdapterSpec& spec, const EngineOptions& options, Gradients& gradients)
    : backend_(backend), gradients_(gradients), options_(options), spec_(spec), layout_(model, spec), offsets_(arena_, layout_, spec, options), parts_(parts_of(layout_)) {
  arena_.commit(backend.allocate(arena_.total_bytes()));
  if (options.training) gradients_.fit(layout_.elements());
  for (const AdapterTensor& t : layout_.tensors()) {
    std::vector<float> values = initial_values(t, spec.seed, model.classifier ? model.classifier->init_std : 0);
    if (t.role == AdapterTensor::Role::whole) {
      const DenseWeights& stored = weights.dense[t.site];
      if (const float* from = t.is_vector ? stored.bias : stored.w) backend.download(from, t.elements() * 4, values.data());
    }
    if (const auto rows = copied_rows(t)) copy_of_base(t, *rows, weights);
    else parameters().write(t.offset * 4, t.elements() * 4, values.data());
  }
  if (!spec.initial_factors.empty()) write_initial_factors(weights);
  if (spec.dora) {
    // B A is zero: the magnitudes are the norms.
    norms_of_rows(weights, false);
    for (const AdapterSite& s : layout_.sites()) {
      std::vector<float> norms(static_cast<size_t>(s.out));
      const int64_t bytes = s.out * int64_t(sizeof(float));
      buffer(offsets_.norms).read(s.first_output * int64_t(sizeof(float)), bytes, norms.data());
      const auto zero = std::find(norms.begin(), norms.end(), 0.f);
      if (zero != norms.end()) {
        throw Error("E_TARGET", "Module \"" + s.name + "\": the weights of output " + std::to_string(zero - norms.begin()) +
                        " (counted from 0) are all zero. DoRA divides by their norm. Leave the module out of target_modules, or train without use_dora.", s.name);
      }
      parameters().write(s.magnitude_offset * 4, bytes, norms.data());
    }
  }
  if (options.training) write({});
}

std::optional<std::vector<int32_t>> AdapterSlot::copied_rows(const AdapterTensor& t) const {
  switch (t.role) {
    case AdapterTensor::Role::embedding_rows:
      return layout_.embedding_rows().ids;
    case AdapterTensor::Role::head_rows:
      return layout_.head_rows().ids;
    case AdapterTensor::Role::embedding:
    case AdapterTensor::Role::head: {
      std::vector<int32_t> all(static_cast<size_t>(t.rows));
      std::iota(all.begin(), all.end(), 0);
      return all;
    }
    default:
      return std::nullopt;
  }
}

// Decodes rows of a table of the base, in whatever format it lies, some at a time.
void AdapterSlot::copy_of_base(const AdapterTensor& t, const std::vector<int32_t>& rows, const ModelWeights& weights) {
  float* const to = arena_.at<float>(offsets_.parameters) + t.offset;
  const bool is_head = t.role == AdapterTensor::Role::head || t.role == AdapterTensor::Role::head_rows;
  if (t.is_vector) return backend_.cast({Mat(const_cast<float*>(weights.head_bias), DType::f32, 1, t.rows), Mat(to, DType::f32, 1, t.rows)});
  constexpr int64_t kRows = 1024;
  const Memory ids_at = backend_.allocate(kRows * int64_t(sizeof(int32_t)));
  for (int64_t first = 0; first < t.rows; first += kRows) {
    const int64_t count = std::min(kRows, t.rows - first);
    int32_t* const at = reinterpret_cast<int32_t*>(ids_at.data.get());
    backend_.upload(rows.data() + first, count * int64_t(sizeof(int32_t)), at);
    backend_.embedding_fwd({at, is_head ? weights.head : weights.embedding, Mat(to + first * t.cols, DType::f32, count, t.cols)});
  }
}

void AdapterSlot::write_initial_factors(const ModelWeights& weights) {
  const auto& sites = layout_.sites();
  std::vector<InitialFactors> factors(sites.size());
  ThreadPool pool(int(options_.threads));
  pool.run(int64_t(sites.size()), [&](int64_t i, int) {
    const AdapterSite& s = sites[size_t(i)];
    const StoredWeight& w = weights.linear_at(s.layer, s.linear).stored;
    factors[size_t(i)] = initial_factors(w, spec_.initial_factors, s.rank / 2, s.scale, spec_.seed, uint64_t(i));
  });
  for (size_t i = 0; i < sites.size(); i++) {
    const AdapterSite& s = sites[i];
    const size_t half = size_t(s.rank / 2);
    std::vector<float> a = factors[i].a, b(size_t(s.out * s.rank));
    a.insert(a.end(), factors[i].a.begin(), factors[i].a.end());
    for (size_t o = 0; o < size_t(s.out); o++) {
      for (size_t r = 0; r < half; r++) {
        const float value = factors[i].b[o * half + r];
        b[o * 2 * half + r] = value;
        b[o * 2 * half + half + r] = -value;
      }
    }
    parameters().write(s.a_offset * 4, int64_t(a.size()) * 4, a.data());
    parameters().write(s.b_offset * 4, int64_t(b.size()) * 4, b.data());
  }
}

void AdapterSlot::norms_of_rows(const ModelWeights& weights, bool with_factors) {
  float *const p = arena_.at<float>(offsets_.parameters), *const norms = arena_.at<float>(offsets_.norms);
  for (const AdapterSite& s : layout_.sites()) {
    RowNormsArgs args{.w = weights.linear_at(s.layer, s.linear).w, .lora = {}, .norm = norms + s.first_output};
    args.lora.a = p + s.a_offset;
    args.lora.b = p + s.b_offset;
    args.lora.rank = s.rank;
    args.lora.scale = s.scale;
    if (with_factors) {
      args.magnitude = p + s.magnitude_offset;
      args.factor = arena_.at<float>(offsets_.factors) + s.first_output;
    }
    backend_.row_norms(args);
  }
}

Adapter AdapterSlot::view(const ModelWeights& weights) {
  if (spec_.dora && !has_factors_) norms_of_rows(weights, true);
  has_factors_ = true;
  Adapter a{layout_, spec_, arena_.at<float>(offsets_.parameters)};
  if (spec_.dora) {
    a.norms = arena_.at<float>(offsets_.norms);
    a.factors = arena_.at<float>(offsets_.factors);
  }
  return a;
}

Adapter AdapterSlot::begin_step(const ModelWeights& weights) {
  gradients_.begin(*this);
  Adapter a = view(weights);
  a.gradients = gradients_at();
  return a;
}

int64_t AdapterSlot::training(int64_t offset) const {
  if (!options_.training) throw Error("E_STATE", "This engine was opened without training.");
  return offset;
}

int64_t AdapterSlot::f32_moments(int64_t offset) const {
  if (options_.adamw_8bit) throw Error("E_STATE", "This engine's optimizer keeps its moments in 8 bits.");
  return training(offset);
}

Buffer AdapterSlot::moment_bytes() const {
  if (!options_.adamw_8bit) throw Error("E_STATE", "This engine's optimizer keeps its moments in f32.");
  return buffer(training(offsets_.moments));
}

StepState AdapterSlot::read() {
  StepState s;
  buffer(training(offsets_.state)).read(0, int64_t(sizeof s), &s);
  skipped_ = s.skipped;
  return s;
}

void AdapterSlot::write(const StepState& s) {
  buffer(training(offsets_.state)).write(0, int64_t(sizeof s), &s);
  skipped_ = s.skipped;
}

template <class F>
void AdapterSlot::in_host(void* at, int64_t bytes, F f) const {
  if (memory_place(options_.device) == MemoryPlace::host) return f(at, bytes);
  std::vector<char> copy(static_cast<size_t>(bytes));
  const Buffer there(backend_, at);
  there.read(0, bytes, copy.data());
  f(static_cast<void*>(copy.data()), bytes);
  there.write(0, bytes, copy.data());
}

std::vector<AdapterSlot::Part> AdapterSlot::parts_of(const AdapterLayout& layout) {
  // Each tensor is final with its layer, the embedding at the end; the head and layers of a classifier were before the first block.
  std::vector<Part> all;
  for (const AdapterTensor& t : layout.tensors()) {
    const bool is_head = t.role == AdapterTensor::Role::head || t.role == AdapterTensor::Role::head_rows || t.role == AdapterTensor::Role::whole;
    const bool is_embedding = t.role == AdapterTensor::Role::embedding || t.role == AdapterTensor::Role::embedding_rows;
    const int64_t layer = is_embedding ? -1 : is_head ? kAbove : layout.sites()[t.site].layer;
    all.push_back({t.offset, t.offset + t.elements(), layer});
  }
  std::sort(all.begin(), all.end(), [](const Part& a, const Part& b) { return a.layer != b.layer ? a.layer > b.layer : a.begin > b.begin; });
  std::vector<Part> parts;
  for (const Part& p : all) {
    const bool joins = !parts.empty() && p.end == parts.back().begin && (p.layer == parts.back().layer || parts.back().end - parts.back().begin < kLeastPart);
    if (!joins) parts.push_back(p);
    parts.back().begin = p.begin;
    parts.back().layer = p.layer;
  }
  return parts;
}

bool AdapterSlot::sums_early() const { return memory_place(options_.device) == MemoryPlace::host; }

void AdapterSlot::start_sums(Sums& sums, int64_t layer) {
  if (!sums_early()) return;
  float* const g = gradients_at();
  for (; started_ < parts_.size() && parts_[started_].layer >= layer; started_++) {
    const Part& part = parts_[started_];
    sums.start(g + part.begin, part.end - part.begin);
  }
}

void AdapterSlot::expect_no_sums() const {
  if (started_ > 0) throw Error("E_STATE", "The gradients are being summed: a step comes after the last micro-batch.");
}

void AdapterSlot::reduce(Group& group, Sums& sums, Reducer* on_device) {
  float* const g = gradients_at();  // an error comes before any sum
  const bool is_host = sums_early();
  if (is_host) {
    start_sums(sums, -1);
    started_ = 0;
    sums.complete();
  }
  if (group.size() == 1) return;
  // On a device this comes first: all ranks are at the step then, or those that hang are named. NCCL could not tell.
  const Buffer loss(backend_, window_loss());
  double sum = 0;
  loss.read(0, sizeof sum, &sum);
  group.sum(&sum, 1);
  loss.write(0, sizeof sum, &sum);
  if (is_host) return;
  const int64_t n = layout_.elements();
  if (on_device) {
    on_device->sum(g, n);
    on_device->complete();
    return;
  }
  in_host(g, Gradients::bytes(n), [&](void* at, int64_t) {
    sums.start(static_cast<float*>(at), n);
    sums.complete();
  });
}

void AdapterSlot::share(Group& group) {
  if (group.size() == 1) return;
  const auto all = [&](int64_t offset, int64_t bytes) { in_host(arena_.at(offset), bytes, [&](void* at, int64_t n) { group.share(at, n); }); };
  const int64_t bytes = layout_.elements() * int64_t(sizeof(float));
  has_factors_ = false;
  all(offsets_.parameters, bytes);
  if (options_.adamw_8bit) {
    all(training(offsets_.moments), offsets_.adam_8bit.bytes());
  } else {
    all(f32_moments(offsets_.adam_m), bytes);
    all(f32_moments(offsets_.adam_v), bytes);
  }
  StepState state = read();
  group.share(&state, sizeof state);
  write(state);
}

void AdapterSlot::step(const OptimizerOptions& o) {
  const int64_t rates = int64_t(o.learning_rates.size()), n = layout_.elements();
  StepState* const state = state_at();
  float *const rates_at = arena_.at<float>(offsets_.learning_rates), *const g = gradients_at();
  // No part of the norm; with moments of zero and no decay, AdamW leaves them as they are.
  for (const AdapterTensor& t : layout_.tensors()) {
    if (const Mat frozen = layout_.frozen(t, spec_, g)) backend_.zero({frozen});
  }
  backend_.upload(o.learning_rates.data(), rates * int64_t(sizeof(float)), rates_at);
  backend_.clip({g, n, o.max_grad_norm, o.loss_scale, o.tokens, o.growth_steps, rates_at, rates, skipped_, state});
  const bool decays = spec_.freezes_half && o.weight_decay != 0;
  if (decays) keep_frozen(false);
  update(o);
  if (decays) keep_frozen(true);
  has_factors_ = false;
  backend_.zero({Mat(g, DType::f32, 1, n)});
  gradients_.end();
}

void AdapterSlot::keep_frozen(bool back) const {
  float* kept = arena_.at<float>(offsets_.kept);
  for (const AdapterTensor& t : layout_.tensors()) {
    const Mat frozen = layout_.frozen(t, spec_, arena_.at<float>(offsets_.parameters));
    if (!frozen || frozen.rows * frozen.cols == t.elements()) continue;  // a whole tensor that is frozen does not decay
    const Mat aside(kept, DType::f32, frozen.rows, frozen.cols);
    backend_.cast(back ? CastArgs{aside, frozen} : CastArgs{frozen, aside});
    kept += frozen.rows * frozen.cols;
  }
}

std::vector<AdamWPart> AdapterSlot::adamw_parts(const OptimizerOptions& o) const {
  std::vector<AdamWPart> parts;
  int64_t blocks = 0;
  for (size_t i = 0; i < layout_.tensors().size(); i++) {
    const AdapterTensor& t = layout_.tensors()[i];
    AdamWPart part{};
    part.begin = t.offset;
    part.elements = t.elements();
    set_group(part, t, spec_, o);
    if (options_.adamw_8bit) {
      const MomentPart& at = moments()[i];
      part.is_8bit = at.is_8bit;
      part.m = offsets_.moments + at.m;
      part.v = offsets_.moments + at.v;
      part.m_max = offsets_.moments + at.m_max;
      part.v_max = offsets_.moments + at.v_max;
    } else {
      part.m = offsets_.adam_m + t.offset * int64_t(sizeof(float));
      part.v = offsets_.adam_v + t.offset * int64_t(sizeof(float));
      // Tensors that lie side by side and are treated alike are one part.
      AdamWPart* const before = parts.empty() ? nullptr : &parts.back();
      if (before && before->begin + before->elements == part.begin && before->rate_factor == part.rate_factor && before->weight_decay == part.weight_decay) {
        before->elements += part.elements;
        continue;
      }
    }
    parts.push_back(part);
  }
  for (AdamWPart& part : parts) {
    part.first_block = blocks;
    blocks += (part.elements + kMomentBlock - 1) / kMomentBlock;
  }
  return parts;
}

void AdapterSlot::update(const OptimizerOptions& o) {
  AdamWPart* const parts_at = arena_.at<AdamWPart>(offsets_.adamw_parts);
  if (adamw_parts_ == 0 || o.weight_decay != placed_decay_ || o.lora_plus_ratio != placed_ratio_) {
    const std::vector<AdamWPart> parts = adamw_parts(o);
    backend_.upload(parts.data(), int64_t(parts.size() * sizeof(AdamWPart)), parts_at);
    adamw_parts_ = int64_t(parts.size());
    adamw_blocks_ = parts.back().first_block + (parts.back().elements + kMomentBlock - 1) / kMomentBlock;
    placed_decay_ = o.weight_decay;
    placed_ratio_ = o.lora_plus_ratio;
  }
  backend_.adamw({.p = arena_.at<float>(offsets_.parameters),
                  .g = gradients_at(),
                  .moments = arena_.at<char>(0),
                  .parts = parts_at,
                  .count = adamw_parts_,
                  .blocks = adamw_blocks_,
                  .beta1 = o.beta1,
                  .beta2 = o.beta2,
                  .eps = o.epsilon,
                  .state = state_at()});
}

}  // namespace lowrank
