#include "model/spec.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace lowrank {

namespace {

// The largest size of a plausible model; products of two sizes do not overflow.
constexpr int64_t kMost = int64_t(1) << 31, kMostHeads = int64_t(1) << 16;

[[noreturn]] void refuse(const ModelSource& source, const std::string& message) {
  throw Error("E_CONFIG_VALUE", source.folder + ": " + message + ".", source.folder);
}

// Each column of the linears' outputs belongs to one head: a column of two would be two things, and the gradient of a column of none would be
// whatever lay there.
void check_views(const ModelSource& source) {
  const AttentionSpec& a = source.spec.block.attention;
  struct Head {
    int64_t linear, begin;
    const char* name;
  };
  std::vector<Head> heads;
  const auto add = [&](const char* name, const HeadView& v, int64_t per_group) {
    if (v.linear < 0 || v.linear >= int64_t(a.inputs.size())) {
      refuse(source, std::string(name) + " is read from attention's linear " + std::to_string(v.linear) + ", expected 0 to " +
                         std::to_string(a.inputs.size() - 1));
    }
    const LinearSpec& linear = a.inputs[size_t(v.linear)];
    for (const int64_t n : {v.offset, v.group_stride, v.head_stride}) {
      if (n < 0 || n > linear.out) refuse(source, std::string("offset and strides of ") + name + " must be from 0 to the output of " + linear.module);
    }
    for (int64_t g = 0; g < a.kv_heads; g++) {
      for (int64_t j = 0; j < per_group; j++) {
        const int64_t begin = v.offset + g * v.group_stride + j * v.head_stride, end = begin + a.head_dim;
        if (end > linear.out) {
          refuse(source, std::string("a head of ") + name + " is columns " + std::to_string(begin) + " to " + std::to_string(end - 1) + " of " +
                             linear.module + ", which has " + std::to_string(linear.out));
        }
        heads.push_back({v.linear, begin, name});
      }
    }
  };
  add("q", a.q, a.heads / a.kv_heads);
  add("k", a.k, 1);
  add("v", a.v, 1);
  std::stable_sort(heads.begin(), heads.end(), [](const Head& x, const Head& y) { return std::pair(x.linear, x.begin) < std::pair(y.linear, y.begin); });
  const Head* last = nullptr;
  auto next = heads.begin();
  for (size_t i = 0; i < a.inputs.size(); i++) {
    int64_t end = 0;
    const auto column = [&] { return "column " + std::to_string(end) + " of " + a.inputs[i].module; };
    for (; next != heads.end() && next->linear == int64_t(i); last = &*next++) {
      if (next->begin > end) break;
      if (next->begin < end) {
        end = next->begin;
        refuse(source, column() + " belongs to a head of " + last->name + " and to one of " + next->name);
      }
      end += a.head_dim;
    }
    if (end < a.inputs[i].out) refuse(source, column() + " belongs to no head of q, k or v");
  }
}

// Every layer has a kind, and the factors of a rope are as many as its pairs.
void check_kinds(const ModelSource& source) {
  const AttentionSpec& a = source.spec.block.attention;
  if (a.kinds.empty() || (!a.layer_kinds.empty() && int64_t(a.layer_kinds.size()) != source.spec.layers)) {
    refuse(source, "attention has " + std::to_string(a.kinds.size()) + " kinds, and " + std::to_string(a.layer_kinds.size()) + " layers have one");
  }
  for (const int64_t kind : a.layer_kinds) {
    if (kind < 0 || kind >= int64_t(a.kinds.size())) refuse(source, "a layer has attention of kind " + std::to_string(kind) + ", which is not described");
  }
  for (const AttentionKind& kind : a.kinds) {
    if (kind.window < 0 || kind.window > kMost) refuse(source, "attention's window is " + std::to_string(kind.window) + ", expected a positive number");
    if (kind.window > 0 && !a.causal) refuse(source, "bidirectional attention has a window of " + std::to_string(kind.window) + ", expected none");
    if (kind.rope.scaling.type != RopeScaling::Type::longrope) continue;
    for (const auto* factors : {&kind.rope.scaling.short_factors, &kind.rope.scaling.long_factors}) {
      if (int64_t(factors->size()) == a.rotary_dim / 2) continue;
      refuse(source, "the rope has " + std::to_string(factors->size()) + " factors, expected " + std::to_string(a.rotary_dim / 2));
    }
  }
}

}  // namespace

std::vector<const LinearSpec*> BlockSpec::linears() const {
  std::vector<const LinearSpec*> list;
  for (const LinearSpec& linear : attention.inputs) list.push_back(&linear);
  list.push_back(&attention.out);
  for (const LinearSpec& linear : mlp.inputs) list.push_back(&linear);
  list.push_back(&mlp.down);
  return list;
}

std::vector<const LinearSpec*> ModelSpec::linears(int64_t layer) const {
  if (layer >= 0 && layer < layers) return block.linears();
  const auto& outside = layer < 0 ? embedding_linear : final_linear;
  return outside ? std::vector{&*outside} : std::vector<const LinearSpec*>();
}

std::array<BlockSpec::SizedNorm, BlockSpec::kNorms> BlockSpec::norms(int64_t dim) const {
  const AttentionSpec& a = attention;
  const bool whole = a.norm_whole || a.norm_each;
  const int64_t q = whole ? a.q_dim() : a.head_dim, k = whole ? a.kv_dim() : a.head_dim;
  return {{{&a.norm, dim},
           {&a.q_norm, q, a.norm_each ? a.heads : 0},
           {&a.k_norm, k, a.norm_each ? a.kv_heads : 0},
           {&a.residual.norm, dim},
           {&a.residual.after, dim},
           {&mlp.norm, dim},
           {&mlp.residual.norm, dim},
           {&mlp.residual.after, dim}}};
}

void check_spec(const ModelSource& source) {
  const ModelSpec& s = source.spec;
  const AttentionSpec& a = s.block.attention;
  const auto positive = [&](int64_t v, const std::string& what) {
    if (v <= 0 || v > kMost) refuse(source, what + " is " + std::to_string(v) + ", expected a positive number");
  };
  positive(s.vocab, "the vocabulary's size");
  positive(s.dim, "the hidden size");
  if (s.embedding_linear && s.embedding_norm) refuse(source, "embeddings with a linear have no norm");
  positive(s.layers, "the number of layers");
  positive(a.heads, "the number of heads");
  positive(a.kv_heads, "the number of key/value heads");
  if (a.heads > kMostHeads) refuse(source, "the number of heads is " + std::to_string(a.heads) + ", expected at most " + std::to_string(kMostHeads));
  positive(a.head_dim, "a head's size");
  if (a.heads % a.kv_heads != 0) refuse(source, "the number of heads must be a multiple of the number of key/value heads");
  const bool rotates = std::any_of(a.kinds.begin(), a.kinds.end(), [](const AttentionKind& kind) { return kind.rotates; });
  if (rotates && (a.rotary_dim < 2 || a.rotary_dim > a.head_dim || a.rotary_dim % 2 != 0)) {
    refuse(source, std::to_string(a.rotary_dim) + " of a head's " + std::to_string(a.head_dim) + " columns rotate, expected an even number");
  }
  if (!s.positions.empty()) {
    positive(s.position_rows, "the number of positions");
    positive(s.most_positions(), "the number of positions beyond their offset");
  }
  if (!s.token_types.empty()) positive(s.type_rows, "the number of token types");
  if (s.block.parallel && (a.residual.after || s.block.mlp.residual.after)) refuse(source, "a parallel block has no norm after its parts");
  if (!(a.scale > 0) || !(a.soft_cap >= 0) || !(s.logit_cap >= 0)) refuse(source, "the scale of attention must be positive, and caps not negative");
  if (!a.key_bias.slopes.empty() && (int64_t(a.key_bias.slopes.size()) != a.heads || a.soft_cap > 0)) {
    refuse(source, "attention has " + std::to_string(a.key_bias.slopes.size()) + " slopes for " + std::to_string(a.heads) + " heads, or a cap beside them");
  }
  check_kinds(source);
  if (!a.causal && !s.classifier) refuse(source, "a model whose attention is bidirectional generates no text: it must be a classifier");
  if (a.inputs.empty() || a.inputs.size() > kMostAttentionInputs) {
    refuse(source, "attention reads " + std::to_string(a.inputs.size()) + " linears, expected 1 to " + std::to_string(kMostAttentionInputs));
  }
  if (s.block.mlp.inputs.empty() || s.block.mlp.inputs.size() > kMostMlpInputs) {
    refuse(source, "the MLP reads " + std::to_string(s.block.mlp.inputs.size()) + " linears, expected 1 or 2");
  }
  s.each_linear([&](int64_t, size_t, const LinearSpec& linear) {
    positive(linear.out, linear.module + "'s output");
    positive(linear.in, linear.module + "'s input");
  });
  const auto shape = [&](const LinearSpec& linear, int64_t out, int64_t in) {
    if (linear.out == out && linear.in == in) return;
    refuse(source, linear.module + " is [" + std::to_string(linear.out) + ", " + std::to_string(linear.in) + "], expected [" + std::to_string(out) +
                       ", " + std::to_string(in) + "]");
  };
  if (s.embedding_linear) shape(*s.embedding_linear, s.dim, s.table_dim());
  if (s.final_linear) shape(*s.final_linear, s.read_dim(), s.dim);
  if (!s.classifier && s.read_dim() != s.table_dim()) {
    refuse(source, "the head reads rows of " + std::to_string(s.read_dim()) + ", expected " + std::to_string(s.table_dim()) + " as in the embedding");
  }
  for (const LinearSpec& linear : a.inputs) shape(linear, linear.out, s.dim);
  shape(a.out, s.dim, a.q_dim());
  const MlpSpec& mlp = s.block.mlp;
  const int64_t of_one = mlp.width() * (mlp.inputs.size() == 1 && mlp.gated() ? 2 : 1);
  for (const LinearSpec& linear : mlp.inputs) shape(linear, of_one, s.dim);
  shape(mlp.down, s.dim, mlp.width());
  check_views(source);
  for (const double rate : {s.embedding_dropout, a.dropout, a.residual.dropout, mlp.residual.dropout}) {
    if (!(rate >= 0 && rate < 1)) refuse(source, "a dropout is " + std::to_string(rate) + ", expected 0 <= dropout < 1");
  }
  for (const ResidualSpec* residual : {&a.residual, &mlp.residual}) {
    if (residual->dropout > 0 && !residual->direct()) refuse(source, "the output of a part with a norm or a factor has no dropout");
  }
  if (!s.classifier) return;
  if (s.classifier->layers.empty()) refuse(source, "the classifier has no layers");
  int64_t in = s.read_dim();
  for (const auto& [linear, function, dropout] : s.classifier->layers) {
    positive(linear.out, linear.module + "'s output");
    shape(linear, linear.out, in);
    in = linear.out;
    if (!(dropout >= 0 && dropout < 1)) refuse(source, "the dropout before " + linear.module + " is " + std::to_string(dropout) + ", expected 0 <= dropout < 1");
  }
}

}  // namespace lowrank
