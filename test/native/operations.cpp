#include "operations.h"

#include "bounds.h"

#include <algorithm>
#include <numeric>

namespace lowrank::test {

const std::vector<Operation>& operations() {
  static const std::vector<Operation> table = [] {
    std::vector<Operation> all;
    for (const auto* part :
         {&kLinearOperations, &kRowOperations, &kAttentionOperations, &kHeadOperations, &kColumnOperations, &kOptimizerOperations, &kDenseOperations, &kSampleOperations}) {
      all.insert(all.end(), part->begin(), part->end());
    }
    return all;
  }();
  return table;
}

const Operation& operation(const std::string& name) {
  for (const Operation& o : operations()) {
    if (name == o.name) return o;
  }
  throw Error("E_INTERNAL", "No operation is called " + name + ".");
}

void define_weight(const Case& c, Slots& s, const char* name, Random& r) {
  const DType grid = c.exact ? DType::bf16 : DType::f32;
  if (is_plain(c.stored.format)) {
    Slot& w = s.input(name, c.weight, c.features, c.in, r.values(c.features * c.in, grid));
    w.offset = c.misalign;
    w.stored.interleaved = c.stored.interleaved;
    return;
  }
  auto stored = std::make_shared<Stored>();
  make_stored(*stored, c.stored, c.features, c.in, r);
  Slot& w = s.input(name, DType::f32, c.features, c.in, {});
  w.offset = c.misalign;
  w.stored = c.stored;
  w.codes = std::move(stored);
}

double weight_error(const Case& c, const Arithmetic& a) {
  const bool rounds = !is_plain(c.stored.format) || (!c.exact && c.weight != DType::bf16);
  return rounds ? a.operand : 0;
}

OpLimits limits_of(const Case& c) {
  const auto total = [](const std::vector<int32_t>& v) { return std::accumulate(v.begin(), v.end(), int64_t(0)); };
  const auto& keys = c.keys.empty() ? c.queries : c.keys;
  OpLimits l;
  l.tokens = c.queries.empty() ? c.rows : total(c.queries);
  l.kv_tokens = std::max<int64_t>(1, total(keys));
  l.max_sequence = keys.empty() ? 1 : *std::max_element(keys.begin(), keys.end());
  l.features = std::max(c.in, c.features);
  l.model_dim = c.in;
  l.vocab = c.features;
  l.rank = c.rank;
  l.heads = c.heads;
  l.kv_heads = c.kv_heads;
  l.head_dim = c.head_dim;
  l.act = c.act;
  l.rounds_activations = c.stored.threshold > 0;
  l.rounds_gradients = c.stored.gradients != GradientCodes::none;
  l.decoded = is_plain(c.stored.format) && c.weight == c.act && !c.stored.interleaved ? 0 : c.features * c.in;
  l.head_trains = c.trains;
  l.head_rows = c.replaced;
  l.sampled = c.op == "sample" ? c.rows : 0;
  l.dropout = c.dropout.active();
  l.training = l.dropout || c.op.ends_with("_bwd");
  if (c.roomy) {
    l.tokens += 37;
    l.kv_tokens += 70;
    l.max_sequence += 33;
    l.features += 100;
    l.vocab += 19;
    l.rank += 3;
    l.training = l.dropout = true;
  }
  return l;
}

}  // namespace lowrank::test
