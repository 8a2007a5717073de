#include "block/attention.h"

#include <cmath>

namespace lowrank {

namespace {

AttentionShape shape(const Pass& p) {
  const AttentionSpec& a = p.model.block.attention;
  return {a.heads, a.kv_heads, a.head_dim, 1.f / std::sqrt(float(a.head_dim)), p.tokens.q_offsets, p.tokens.kv_offsets, p.tokens.sequences};
}

// Heads in the outputs of attention's linears, or in the outputs' gradients.
Heads heads_in(std::span<const Mat> outputs, const HeadView& v) { return {outputs[size_t(v.linear)], v.offset, v.group_stride, v.head_stride}; }

void rotate(const Pass& p, const Heads& q, const Heads& k, bool inverse) {
  const AttentionSpec& a = p.model.block.attention;
  p.ops.rope({q, p.tokens.positions, p.rotary.cos, p.rotary.sin, a.heads, a.kv_heads, a.head_dim, inverse});
  p.ops.rope({k, p.tokens.positions, p.rotary.cos, p.rotary.sin, a.kv_heads, a.kv_heads, a.head_dim, inverse});
}

// The keys or values of a text, (tokens so far, G*D), of one layer of the cache.
Mat cache_rows(const Pass& p, char* cache, int64_t layer) {
  const int64_t dim = p.model.block.attention.kv_dim();
  return Mat(cache + layer * p.cache.tokens * dim * dtype_bytes(p.act), p.act, p.tokens.kv_count, dim);
}

// The same as heads. The new tokens' heads are copied into the last rows, where their linear did not write them there.
Heads with_cached(const Pass& p, const HeadView& view, const Heads& fresh, const Mat& cache) {
  const AttentionSpec& a = p.model.block.attention;
  const int64_t m = p.tokens.count, dim = a.head_dim;
  const Heads all{cache, 0, dim, dim}, last{cache.slice(cache.rows - m, m), 0, dim, dim};
  if (a.has_linear(view)) return all;
  if (m == 1) {  // one token's heads are the rows of a matrix
    const Mat from = fresh.head(0, 0, dim), to = last.head(0, 0, dim);
    p.ops.cast({Mat(from.data, p.act, a.kv_heads, dim, fresh.group_stride), Mat(to.data, p.act, a.kv_heads, dim)});
    return all;
  }
  for (int64_t g = 0; g < a.kv_heads; g++) p.ops.cast({fresh.head(g, 0, dim), last.head(g, 0, dim)});
  return all;
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
  if (p.mode == Mode::generate) {
    keys = cache_rows(p, p.cache.k, layer);
    values = cache_rows(p, p.cache.v, layer);
    if (spec.has_linear(spec.k)) outputs[size_t(spec.k.linear)] = keys.slice(keys.rows - m, m);
    if (spec.has_linear(spec.v)) outputs[size_t(spec.v.linear)] = values.slice(values.rows - m, m);
  }
  for (size_t i = 0; i < spec.inputs.size(); i++) linears.forward(p, layer, i, h, outputs[i], false);
  const Heads q = heads_in(outputs, spec.q), k = heads_in(outputs, spec.k), v = heads_in(outputs, spec.v);
  rotate(p, q, k, false);
  const Heads all_k = keys ? with_cached(p, spec.k, k, keys) : k, all_v = values ? with_cached(p, spec.v, v, values) : v;
  const Mat o = p.mat(o_);
  p.ops.attention_fwd({shape(p), q, all_k, all_v, o, p.trains() ? p.f32(lse_) : nullptr});
  linears.forward(p, layer, p.model.block.out(), o, stream, true);
}

void Attention::backward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Mat& dy, const Mat& h, const Mat& dh) const {
  const AttentionSpec& spec = p.model.block.attention;
  const bool goes_on = dh || reads_input(p, layer);
  const Mat o = p.mat(o_), d_o = p.mat(shared.d_o);
  linears.backward(p, layer, p.model.block.out(), std::array{dy}, o, goes_on ? d_o : Mat());
  if (!goes_on) return;
  const Mats outputs = mats(p, inputs_), d_outputs = mats(p, shared.d_inputs);
  const Heads q = heads_in(outputs, spec.q), k = heads_in(outputs, spec.k), v = heads_in(outputs, spec.v);
  const Heads dq = heads_in(d_outputs, spec.q), dk = heads_in(d_outputs, spec.k), dv = heads_in(d_outputs, spec.v);
  p.ops.attention_bwd({shape(p), q, k, v, o, d_o, p.f32(lse_), dq, dk, dv});
  rotate(p, dq, dk, true);
  linears.backward(p, layer, 0, std::span(d_outputs).first(spec.inputs.size()), h, dh);
}

}  // namespace lowrank
