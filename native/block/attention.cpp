#include "block/attention.h"

#include <cmath>

namespace lowrank {

namespace {

AttentionShape shape(const Pass& p) {
  const AttentionSpec& a = p.model.block.attention;
  return {a.heads, a.kv_heads, a.head_dim, 1.f / std::sqrt(float(a.head_dim)), p.tokens.q_offsets, p.tokens.kv_offsets, p.tokens.sequences};
}

void rotate(const Pass& p, const Mat& q, const Mat& k, bool inverse) {
  const AttentionSpec& a = p.model.block.attention;
  p.ops.rope({q, p.tokens.positions, p.rotary.cos, p.rotary.sin, a.heads, a.head_dim, inverse});
  p.ops.rope({k, p.tokens.positions, p.rotary.cos, p.rotary.sin, a.kv_heads, a.head_dim, inverse});
}

}  // namespace

void Attention::Shared::place(Place& place, const AttentionSpec& spec) {
  d_o = place.buffer(spec.q_dim());
  for (size_t i = 0; i < spec.inputs.size(); i++) d_inputs[i] = place.buffer(spec.inputs[i].out);
}

void Attention::place(Place& place, const AttentionSpec& spec) {
  for (size_t i = 0; i < spec.inputs.size(); i++) inputs_[i] = place.kept(spec.inputs[i].out);
  o_ = place.kept(spec.q_dim());
  lse_ = place.kept(spec.heads, DType::f32);
}

Attention::Mats Attention::mats(const Pass& p, const Rows (&rows)[kMostAttentionInputs]) const {
  Mats all;
  for (size_t i = 0; i < p.model.block.attention.inputs.size(); i++) all[i] = p.mat(rows[i]);
  return all;
}

void Attention::forward(const Pass& p, int64_t layer, const Linears& linears, const Mat& h, const Mat& stream) const {
  const AttentionSpec& spec = p.model.block.attention;
  const int64_t m = p.tokens.count;
  Mats outputs = mats(p, inputs_);
  Mat keys, values;
  // Keys and values go straight into the cache when generating, where each is a linear of its own.
  if (p.mode == Mode::generate) {
    const int64_t past = p.tokens.kv_count - m, layer_offset = layer * p.cache.tokens * spec.kv_dim() * dtype_bytes(p.act);
    keys = Mat(p.cache.k + layer_offset, p.act, p.tokens.kv_count, spec.kv_dim());
    values = Mat(p.cache.v + layer_offset, p.act, p.tokens.kv_count, spec.kv_dim());
    outputs[size_t(spec.k.linear)] = keys.slice(past, m);
    outputs[size_t(spec.v.linear)] = values.slice(past, m);
  }
  for (size_t i = 0; i < spec.inputs.size(); i++) linears.forward(p, layer, i, h, outputs[i], false);
  const Mat q = outputs[size_t(spec.q.linear)], k = outputs[size_t(spec.k.linear)], v = outputs[size_t(spec.v.linear)], o = p.mat(o_);
  rotate(p, q, k, false);
  p.ops.attention_fwd({shape(p), q, keys ? keys : k, values ? values : v, o, p.trains() ? p.f32(lse_) : nullptr});
  linears.forward(p, layer, p.model.block.out(), o, stream, true);
}

void Attention::backward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Mat& dy, const Mat& h, const Mat& dh) const {
  const AttentionSpec& spec = p.model.block.attention;
  const bool goes_on = dh || reads_input(p, layer);
  const Mat o = p.mat(o_), d_o = p.mat(shared.d_o);
  linears.backward(p, layer, p.model.block.out(), std::array{dy}, o, goes_on ? d_o : Mat());
  if (!goes_on) return;
  const Mats outputs = mats(p, inputs_), d_outputs = mats(p, shared.d_inputs);
  const size_t iq = size_t(spec.q.linear), ik = size_t(spec.k.linear), iv = size_t(spec.v.linear);
  p.ops.attention_bwd({shape(p), outputs[iq], outputs[ik], outputs[iv], o, d_o, p.f32(lse_), d_outputs[iq], d_outputs[ik], d_outputs[iv]});
  rotate(p, d_outputs[iq], d_outputs[ik], true);
  linears.backward(p, layer, 0, std::span(d_outputs).first(spec.inputs.size()), h, dh);
}

}  // namespace lowrank
