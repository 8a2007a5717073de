#include "model/adapter.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/random_streams.h"
#include "base/rng.h"

namespace lowrank {

namespace {
constexpr int64_t kMostRank = 1 << 24;  // far above any use, and sizes do not overflow
}

int64_t AdapterSpec::rank_of(const std::string& target) const {
  const auto own = ranks.find(target);
  return own == ranks.end() ? rank : own->second;
}

float AdapterSpec::scale_of(const std::string& target) const {
  const auto own = alphas.find(target);
  const double a = own == alphas.end() ? alpha : own->second, r = double(rank_of(target));
  return float(rslora ? a / std::sqrt(r) : a / r);
}

AdapterLayout::AdapterLayout(const ModelSpec& model, const AdapterSpec& spec) {
  std::set<std::string> wanted(spec.targets.begin(), spec.targets.end());
  linears_ = model.block.linears().size();
  lookup_.assign(size_t(model.layers + 2) * linears_, -1);
  model.each_linear([&](int64_t layer, size_t i, const LinearSpec& linear) {
    const std::string name = model.module(layer, linear);
    if (wanted.erase(name) > 0) add_site(spec, {name, layer, i, linear.out, linear.in, spec.rank_of(name), spec.scale_of(name)});
  });
  if (!wanted.empty()) {
    throw Error("E_TARGET", "Target module \"" + *wanted.begin() + "\" is not a linear of this model.", *wanted.begin());
  }
  if (sites_.empty()) throw Error("E_TARGET", "No target modules were given.", "target_modules");
  for (const std::string& module : spec.whole) add_whole(model, module);
  for (const TokenRows& rows : spec.tokens) add_rows(model, rows);
  if (!model.classifier) return;
  for (const DenseSpec& layer : model.classifier->layers) {
    const auto& [module, out, in, bias] = layer.linear;
    DensePlace& place = dense_.emplace_back();
    const auto whole = [&](const char* name, int64_t cols, bool is_vector) {
      return add({module + name, out, cols, 0, AdapterTensor::Role::whole, dense_.size() - 1, is_vector});
    };
    place.weight = whole(".weight", in, false);
    if (bias) place.bias = whole(".bias", 1, true);
  }
}

void AdapterLayout::add_site(const AdapterSpec& spec, AdapterSite site) {
  const auto& [name, out, in, rank] = std::tie(site.name, site.out, site.in, site.rank);
  if (rank < 1 || rank > kMostRank) {
    throw Error("E_RANK", "The LoRA rank of " + name + " is " + std::to_string(rank) + ", expected 1 to " + std::to_string(kMostRank) + ".", "lora_r");
  }
  if (spec.freezes_half && (rank % 2 != 0 || rank / 2 > std::min(out, in))) {
    throw Error("E_RANK", "The LoRA rank of " + name + " is " + std::to_string(rank / 2) + ", but its weight has only " + std::to_string(std::min(out, in)) + " singular values.", "lora_r");
  }
  rank_ = std::max(rank_, rank);
  site.first_output = outputs();
  const size_t number = sites_.size();
  lookup_[place(site.layer, site.linear)] = int(number);
  site.a_offset = add({name + ".lora_A.weight", rank, in, 0, AdapterTensor::Role::lora_a, number});
  site.b_offset = add({name + ".lora_B.weight", out, rank, 0, AdapterTensor::Role::lora_b, number});
  if (spec.bias) site.bias_offset = add({name + ".lora_B.bias", out, 1, 0, AdapterTensor::Role::lora_bias, number, true});
  if (spec.dora) site.magnitude_offset = add({name + ".lora_magnitude_vector", out, 1, 0, AdapterTensor::Role::magnitude, number, true});
  sites_.push_back(std::move(site));
}

void AdapterLayout::add_whole(const ModelSpec& model, const std::string& module) {
  const std::string weight = module + ".weight";
  if (weight == model.embedding && embedding_ < 0) {
    embedding_ = add({weight, model.vocab, model.table_dim(), 0, AdapterTensor::Role::embedding});
  } else if (weight == model.head && head_.weight < 0 && !model.classifier) {
    head_.weight = add({weight, model.vocab, model.table_dim(), 0, AdapterTensor::Role::head});
    if (!model.head_bias.empty()) head_.bias = add({model.head_bias, model.vocab, 1, 0, AdapterTensor::Role::head, 0, true});
  } else {
    throw Error("E_TARGET", "Module \"" + module + "\" cannot train whole: the embedding and the head can, each named once.", module);
  }
}

void AdapterLayout::add_rows(const ModelSpec& model, const TokenRows& rows) {
  const auto fail = [&](const std::string& what) { throw Error("E_TARGET", "Tokens of " + rows.module + ": " + what + ".", "trainable_token_indices"); };
  const bool of_embedding = rows.module + ".weight" == model.embedding, of_head = !of_embedding && !model.classifier && rows.module + ".weight" == model.head;
  if (!of_embedding && !of_head) fail("it is neither the embedding nor the head");
  const bool is_head = of_head || (model.tied_head && !model.classifier);  // these rows are the head's, too
  if (of_head && model.tied_head) fail("the head is the embedding, and has its rows");
  if ((of_embedding && embedding_ >= 0) || (is_head && head_.weight >= 0)) fail("the table trains whole");
  if (is_head && !model.head_bias.empty()) fail("rows of a head with a bias are not supported");
  if ((of_embedding ? embedding_rows_ : head_rows_).offset >= 0) fail("they are given twice");
  RowsPlace place{.offset = 0, .ids = rows.ids};
  for (const int32_t id : rows.ids) {
    if (id < 0 || id >= model.vocab) fail("token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(model.vocab));
    if (!place.row_of.emplace(id, int32_t(place.row_of.size())).second) fail("token " + std::to_string(id) + " is given twice");
  }
  if (place.ids.empty()) fail("there are none");
  const auto role = of_embedding ? AdapterTensor::Role::embedding_rows : AdapterTensor::Role::head_rows;
  place.offset = add({rows.module + ".token_adapter.trainable_tokens_delta", place.count(), model.table_dim(), 0, role});
  if (is_head) head_rows_ = place;
  if (of_embedding) embedding_rows_ = std::move(place);
}

Mat AdapterLayout::frozen(const AdapterTensor& t, const AdapterSpec& spec, float* buffer) const {
  const bool is_a = t.role == AdapterTensor::Role::lora_a, is_b = t.role == AdapterTensor::Role::lora_b;
  const Mat all(buffer + t.offset, DType::f32, t.rows, t.cols);
  if (is_a && spec.freeze_a) return all;
  if (!spec.freezes_half || (!is_a && !is_b)) return {};
  const int64_t half = sites_[t.site].rank / 2;
  if (is_a) return all.slice(half, half);
  return Mat(buffer + t.offset + half, DType::f32, t.rows, half, t.cols);
}

bool AdapterLayout::any_in(int64_t layer) const {
  return std::any_of(sites_.begin(), sites_.end(), [&](const AdapterSite& s) { return s.layer == layer; });
}

int64_t AdapterLayout::add(AdapterTensor tensor) {
  tensor.offset = elements_;
  elements_ += tensor.elements();
  tensors_.push_back(std::move(tensor));
  return tensors_.back().offset;
}

std::vector<float> initial_values(const AdapterTensor& t, uint64_t seed, double whole_std) {
  std::vector<float> values(size_t(t.elements()));
  if (t.role == AdapterTensor::Role::whole && !t.is_vector) {
    for (size_t j = 0; j < values.size(); j++) {
      // Box and Muller's transform, of a uniform number above 0 and another.
      const auto words = philox(seed, streams::kInitialWhole + t.site, uint64_t(j));
      const double radius = std::sqrt(-2 * std::log(1 - double(uniform01(words[0]))));
      values[j] = float(whole_std * radius * std::cos(2 * std::numbers::pi * double(uniform01(words[1]))));
    }
  }
  if (t.role != AdapterTensor::Role::lora_a) return values;
  const float bound = 1.f / std::sqrt(float(t.cols));
  for (size_t j = 0; j < values.size(); j++) {
    const auto words = philox(seed, streams::kInitialA + t.site, uint64_t(j) / 4);
    values[j] = bound * (2 * uniform01(words[j % 4]) - 1);
  }
  return values;
}

}  // namespace lowrank
