// Engines whose q, k and v are one linear, against engines that have the same rows as three: loss, gradients and text are the same.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bounds.h"
#include "modes.h"
#include "ref/ref_backend.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

constexpr int64_t kRank = 3;
// Of sums of at most 128 products, which the tiny models have.
const double kSum = sum_error(128);

// By module and part: layers.0.o_proj.A (R, I), layers.0.o_proj.B (O, R).
using Tensors = std::map<std::string, std::vector<float>>;

// The rows of attention's linears, (out, width) each, where the heads of `to` lie.
std::vector<std::vector<float>> moved(const AttentionSpec& from, const std::vector<std::vector<float>>& rows, const AttentionSpec& to, int64_t width) {
  std::vector<std::vector<float>> result;
  for (const LinearSpec& l : to.inputs) result.emplace_back(size_t(l.out * width));
  const auto move = [&](const HeadView& a, const HeadView& b, int64_t per_group) {
    for (int64_t h = 0; h < from.kv_heads * per_group; h++) {
      const auto at = [&](const HeadView& v) { return (v.offset + h / per_group * v.group_stride + h % per_group * v.head_stride) * width; };
      std::copy_n(rows[size_t(a.linear)].begin() + at(a), from.head_dim * width, result[size_t(b.linear)].begin() + at(b));
    }
  };
  move(from.q, to.q, from.heads / from.kv_heads);
  move(from.k, to.k, 1);
  move(from.v, to.v, 1);
  return result;
}

// One tensor of each of attention's linears, as .weight.
std::vector<std::vector<float>> of_inputs(const ModelSpec& m, const Tensors& t, int64_t layer, const std::string& part) {
  std::vector<std::vector<float>> list;
  for (const LinearSpec& l : m.block.attention.inputs) list.push_back(t.at(m.name(layer, l.module) + part));
  return list;
}

// A model of one linear with the rows of a separate model, or the other way round.
TinyModel::Values values_of(const TinyModel& other, const ModelSpec& spec) {
  return [&other, spec](const std::string& name, const std::vector<int64_t>& shape) {
    const auto same = other.tensors.find(name);
    if (same != other.tensors.end()) return same->second;
    const ModelSpec& from = other.source.spec;
    for (int64_t l = 0; l < spec.layers; l++) {
      for (size_t i = 0; i < spec.block.attention.inputs.size(); i++) {
        for (const char* part : {".weight", ".bias"}) {
          if (name != spec.name(l, spec.block.attention.inputs[i].module) + part) continue;
          return moved(from.block.attention, of_inputs(from, other.tensors, l, part), spec.block.attention, shape.size() > 1 ? shape[1] : 1)[i];
        }
      }
    }
    throw Error("E_INTERNAL", name);
  };
}

// An adapter of one linear as three: each has the same A, and its rows of B.
Tensors split(const ModelSpec& fused, const Tensors& adapter, const ModelSpec& separate) {
  Tensors result = adapter;
  for (int64_t l = 0; l < fused.layers; l++) {
    const std::string from = fused.name(l, fused.block.attention.inputs[0].module);
    const auto b = moved(fused.block.attention, {adapter.at(from + ".B")}, separate.block.attention, kRank);
    for (size_t i = 0; i < b.size(); i++) {
      const std::string to = separate.name(l, separate.block.attention.inputs[i].module);
      result[to + ".A"] = adapter.at(from + ".A");
      result[to + ".B"] = b[i];
    }
  }
  return result;
}

// The gradients of three adapters that are one: A is shared, so that its gradients add up.
Tensors joined(const ModelSpec& separate, const Tensors& gradients, const ModelSpec& fused) {
  Tensors result = gradients;
  for (int64_t l = 0; l < fused.layers; l++) {
    const std::string to = fused.name(l, fused.block.attention.inputs[0].module);
    result[to + ".B"] = moved(separate.block.attention, of_inputs(separate, gradients, l, ".B"), fused.block.attention, kRank)[0];
    std::vector<float>& a = result[to + ".A"];
    for (const auto& each : of_inputs(separate, gradients, l, ".A")) {
      a.resize(each.size());
      for (size_t i = 0; i < a.size(); i++) a[i] += each[i];
    }
  }
  return result;
}

class Trained {
 public:
  Trained(const TinyModel& model, const AdapterSpec& adapter, const EngineOptions& options, const Tensors& parameters, std::unique_ptr<Backend> backend = nullptr)
      : engine_(model.source, {adapter}, options, progress_, std::move(backend)), vocab_(model.source.spec.vocab) {
    for (const auto& [name, at, n] : places()) engine_.adapter().parameters().write(at * 4, n * 4, parameters.at(name).data());
  }

  double loss(uint64_t seed) {
    engine_.forward_backward(batch_of(seed, vocab_), 1, seed);
    return engine_.adapter().read().window_loss;
  }
  Tensors gradients() const {
    Tensors result;
    for (const auto& [name, at, n] : places()) {
      result[name].resize(size_t(n));
      engine_.adapter().gradients().read(at * 4, n * 4, result[name].data());
    }
    return result;
  }
  std::vector<float> logits(uint64_t seed) { return engine_.logits(batch_of(seed, vocab_)); }
  // From a prompt of several tokens, and of one.
  std::vector<int32_t> text() {
    std::vector<int32_t> tokens;
    for (const auto& prompt : {std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7}, {8}}) {
      tokens.push_back(engine_.generate_start(prompt, {}));
      for (int i = 0; i < 9; i++) tokens.push_back(engine_.generate_next(tokens.back()));
    }
    return tokens;
  }

 private:
  struct Place {
    std::string name;
    int64_t at, elements;
  };
  std::vector<Place> places() const {
    std::vector<Place> list;
    for (const AdapterSite& s : engine_.adapter().layout().sites()) {
      list.push_back({s.name + ".A", s.a_offset, kRank * s.in});
      list.push_back({s.name + ".B", s.b_offset, kRank * s.out});
    }
    return list;
  }

  LoadProgress progress_;
  Engine engine_;
  int64_t vocab_;
};

// The largest difference as a share of the tensor's largest element, of the tensors that both have.
double difference(const Tensors& a, const Tensors& b) {
  double worst = 0;
  for (const auto& [name, x] : a) {
    if (!b.contains(name)) continue;
    double apart = 0, largest = 0;
    for (size_t i = 0; i < x.size(); i++) {
      apart = std::max(apart, std::fabs(double(x[i]) - double(b.at(name)[i])));
      largest = std::max(largest, std::fabs(double(x[i])));
    }
    worst = std::max(worst, largest > 0 ? apart / largest : apart);
  }
  return worst;
}

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", x);
  return text;
}

class Checks {
 public:
  Checks(HeadLayout layout, int64_t kv_heads, Report& report)
      : report_(report),
        label_(std::string("unit: q, k and v in one linear, ") + layout_name(layout) + ", 4/" + std::to_string(kv_heads) + " heads: "),
        separate_(spec(HeadLayout::separate, kv_heads), random_values(6)),
        fused_(spec(layout, kv_heads), values_of(separate_, spec(layout, kv_heads))) {
    Random r(7);
    for (const LinearSpec* l : fused_.source.spec.block.linears()) {
      for (int64_t layer = 0; layer < fused_.source.spec.layers; layer++) {
        const std::string module = fused_.source.spec.name(layer, l->module);
        adapter_[module + ".A"] = r.values(kRank * l->in, DType::f32, 0.2f);
        adapter_[module + ".B"] = r.values(kRank * l->out, DType::f32, 0.2f);
      }
    }
  }

  // Each row of a product is the same sum whichever linear has it: the loss has the same bits. The gradients are sums in another order.
  void same_as_separate(DType act, Format format) {
    for (TinyModel* model : {&separate_, &fused_}) {
      for (TensorEntry& t : model->source.tensors) {
        if (t.shape.size() == 2 && t.name != model->source.spec.embedding) t.quantize.format = format;
      }
    }
    Trained one(fused_, {.rank = kRank, .alpha = 6, .targets = fused_.targets}, options(act), adapter_);
    Trained three(separate_, {.rank = kRank, .alpha = 6, .targets = separate_.targets}, options(act), split(fused_.source.spec, adapter_, separate_.source.spec));
    const std::string label = label_ + dtype_name(act) + ", " + format_name(format) + ", ";
    const double loss = one.loss(1), expected = three.loss(1);
    report_.expect(loss > 0 && loss == expected, label + "loss", std::to_string(loss) + ", separate " + std::to_string(expected));
    const double apart = difference(joined(separate_.source.spec, three.gradients(), fused_.source.spec), one.gradients());
    // Three du are rounded to act instead of one, and so is the gradient that the next block gets; in f32 the sums' own roundings count.
    report_.expect(apart <= (act == DType::f32 ? kSum : act == DType::bf16 ? 4 * kBf16 : 4 * kF16), label + "gradients", number(apart));
    report_.expect(one.logits(2) == three.logits(2), label + "logits");
    report_.expect(one.text() == three.text(), label + "text");
  }

  // The definition: three linears, computed by the slow twin.
  void same_as_twin() {
    Trained one(fused_, {.rank = kRank, .alpha = 6, .targets = fused_.targets}, options(DType::f32), adapter_);
    Trained twin(separate_, {.rank = kRank, .alpha = 6, .targets = separate_.targets}, options(DType::f32),
                 split(fused_.source.spec, adapter_, separate_.source.spec), std::make_unique<RefBackend>());
    const double loss = one.loss(1), expected = twin.loss(1);
    report_.expect(std::fabs(loss - expected) <= kSum * expected, label_ + "loss of the twin", number(loss - expected));
    const double apart = difference(joined(separate_.source.spec, twin.gradients(), fused_.source.spec), one.gradients());
    // A gradient has some ten sums behind it, whose errors are as good as independent.
    report_.expect(apart <= 4 * kSum, label_ + "gradients of the twin", number(apart));
  }

  // A mask is drawn by its adapter's number: an adapter of q (or k, or v) alone is one of the whole linear whose B is zero in the other rows.
  void same_dropout() {
    const ModelSpec &fused = fused_.source.spec, &separate = separate_.source.spec;
    for (size_t i = 0; i < separate.block.attention.inputs.size(); i++) {
      AdapterSpec part{.rank = kRank, .alpha = 6, .dropout = 0.3, .targets = {}, .seed = 3}, whole = part;
      Tensors parameters = split(fused, adapter_, separate);
      for (int64_t l = 0; l < separate.layers; l++) {
        for (size_t j = 0; j < separate.block.attention.inputs.size(); j++) {
          const std::string module = separate.name(l, separate.block.attention.inputs[j].module);
          if (j == i) part.targets.push_back(module);
          else std::fill(parameters[module + ".B"].begin(), parameters[module + ".B"].end(), 0.f);
        }
        whole.targets.push_back(fused.name(l, fused.block.attention.inputs[0].module));
      }
      Tensors all = adapter_;
      for (const auto& [name, b] : joined(separate, parameters, fused)) {
        if (name.ends_with(".B")) all[name] = b;
      }
      Trained one(fused_, whole, options(DType::f32), all), alone(separate_, part, options(DType::f32), parameters);
      const std::string label = label_ + "dropout, adapter of " + separate.block.attention.inputs[i].module + " alone, ";
      const double loss = one.loss(1), expected = alone.loss(1);
      report_.expect(loss > 0 && loss == expected, label + "loss", std::to_string(loss) + ", separate " + std::to_string(expected));
      const Tensors expected_gradients = alone.gradients();
      const double apart = difference(expected_gradients, split(fused, one.gradients(), separate));
      report_.expect(expected_gradients.size() == 2 * part.targets.size() && apart <= kSum, label + "gradients", number(apart));
    }
  }

  // With dropout.
  void same_bits(DType act) {
    const AdapterSpec spec{.rank = kRank, .alpha = 6, .dropout = 0.1, .targets = fused_.targets, .seed = 3};
    std::vector<Tensors> found;
    for (const auto& [threads, checkpointed] : {std::pair{1, 0}, {3, 0}, {2, 1}, {2, 2}}) {
      EngineOptions o = options(act);
      o.threads = threads;
      o.checkpointed_blocks = checkpointed;
      Trained engine(fused_, spec, o, adapter_);
      engine.loss(1);
      found.push_back(engine.gradients());
    }
    const std::string label = label_ + dtype_name(act) + ", the same bits with ";
    report_.expect(found[1] == found[0], label + "3 threads");
    report_.expect(found[2] == found[0] && found[3] == found[0], label + "checkpointed blocks");
  }

 private:
  static ModelSpec spec(HeadLayout layout, int64_t kv_heads) {
    ModelSpec s = tiny_spec({.vocab = 97, .dim = 64, .mlp = 80, .layers = 2, .heads = 4, .kv_heads = kv_heads, .head_dim = 16}, layout);
    for (LinearSpec& l : s.block.attention.inputs) l.bias = true;
    return s;
  }
  static EngineOptions options(DType act) {
    return {.act = act, .threads = 2, .max_tokens = 64, .max_sequence = 48, .cache_tokens = 48, .training = true};
  }

  Report& report_;
  std::string label_;
  TinyModel separate_, fused_;
  Tensors adapter_;
};

}  // namespace

void test_fused(Report& report) {
  for (const auto& [layout, kv_heads] : {std::pair{HeadLayout::concatenated, 2}, {HeadLayout::grouped, 2}, {HeadLayout::grouped, 4}}) {
    Checks checks(layout, kv_heads, report);
    for (const DType act : {DType::bf16, DType::f16}) checks.same_as_separate(act, Format::f32);
    for (const Format format : {Format::nf4, Format::i8, Format::f32}) checks.same_as_separate(DType::f32, format);
    for (const DType act : {DType::f32, DType::bf16}) checks.same_bits(act);
    checks.same_as_twin();
    checks.same_dropout();
  }
}

}  // namespace lowrank::test
