#include "model/spec.h"

#include "base/error.h"

namespace lowrank {

namespace {

// The largest size of a plausible model; products of two sizes do not overflow.
constexpr int64_t kMost = int64_t(1) << 31;

[[noreturn]] void refuse(const ModelSource& source, const std::string& message) {
  throw Error("E_CONFIG_VALUE", source.folder + ": " + message + ".", source.folder);
}

void check_view(const ModelSource& source, const char* name, const HeadView& v, int64_t groups, int64_t per_group) {
  const AttentionSpec& a = source.spec.block.attention;
  const bool there = v.linear >= 0 && v.linear < int64_t(a.inputs.size());
  const auto within = [](int64_t n) { return n >= 0 && n <= kMost; };
  const bool fits = there && within(v.offset) && within(v.group_stride) && within(v.head_stride) &&
                    double(v.offset) + double(groups - 1) * double(v.group_stride) + double(per_group - 1) * double(v.head_stride) +
                            double(a.head_dim) <= double(a.inputs[size_t(v.linear)].out);
  if (!fits) refuse(source, std::string("the heads of ") + name + " lie outside of their linear's output");
  const bool plain = v.offset == 0 && v.head_stride == a.head_dim && v.group_stride == per_group * a.head_dim &&
                     a.inputs[size_t(v.linear)].out == groups * v.group_stride;
  if (!plain) refuse(source, std::string(name) + " must be a linear of its own");
}

}  // namespace

std::vector<const LinearSpec*> BlockSpec::linears() const {
  std::vector<const LinearSpec*> list;
  for (const LinearSpec& linear : attention.inputs) list.push_back(&linear);
  list.insert(list.end(), {&attention.out, &mlp.gate, &mlp.up, &mlp.down});
  return list;
}

void check_spec(const ModelSource& source) {
  const ModelSpec& s = source.spec;
  const AttentionSpec& a = s.block.attention;
  const auto positive = [&](int64_t v, const std::string& what) {
    if (v <= 0 || v > kMost) refuse(source, what + " is " + std::to_string(v) + ", expected a positive number");
  };
  positive(s.vocab, "the vocabulary's size");
  positive(s.dim, "the hidden size");
  positive(s.layers, "the number of layers");
  positive(a.heads, "the number of heads");
  positive(a.kv_heads, "the number of key/value heads");
  positive(a.head_dim, "a head's size");
  if (a.heads % a.kv_heads != 0 || a.head_dim % 2 != 0) {
    refuse(source, "the number of heads must be a multiple of the number of key/value heads, and a head's size even");
  }
  if (a.inputs.empty() || a.inputs.size() > kMostAttentionInputs) {
    refuse(source, "attention reads " + std::to_string(a.inputs.size()) + " linears, expected 1 to " + std::to_string(kMostAttentionInputs));
  }
  for (const LinearSpec* linear : s.block.linears()) {
    positive(linear->out, linear->module + "'s output");
    positive(linear->in, linear->module + "'s input");
  }
  const auto shape = [&](const LinearSpec& linear, int64_t out, int64_t in) {
    if (linear.out == out && linear.in == in) return;
    refuse(source, linear.module + " is [" + std::to_string(linear.out) + ", " + std::to_string(linear.in) + "], expected [" + std::to_string(out) +
                       ", " + std::to_string(in) + "]");
  };
  for (const LinearSpec& linear : a.inputs) shape(linear, linear.out, s.dim);
  shape(a.out, s.dim, a.q_dim());
  const MlpSpec& mlp = s.block.mlp;
  shape(mlp.gate, mlp.up.out, s.dim);
  shape(mlp.up, mlp.up.out, s.dim);
  shape(mlp.down, s.dim, mlp.up.out);
  check_view(source, "q", a.q, a.kv_heads, a.heads / a.kv_heads);
  check_view(source, "k", a.k, a.kv_heads, 1);
  check_view(source, "v", a.v, a.kv_heads, 1);
}

}  // namespace lowrank
