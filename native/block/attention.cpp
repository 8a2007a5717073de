#include "block/attention.h"

#include <algorithm>

namespace lowrank {

namespace {

AttentionShape shape(const Pass& p, int64_t layer, const int32_t* q_offsets, const int32_t* kv_offsets, int64_t sequences) {
  const AttentionSpec& a = p.model.block.attention;
  return {.heads = a.heads,
          .kv_heads = a.kv_heads,
          .head_dim = a.head_dim,
          .scale = float(a.scale),
          .q_offsets = q_offsets,
          .kv_offsets = kv_offsets,
          .sequences = sequences,
          .window = a.kind(layer).window,
          .soft_cap = float(a.soft_cap),
          .causal = a.causal,
          .bias = p.key_bias,
          .bias_ld = p.key_bias_ld,
          .dropout = p.base_dropout(a.dropout, p.model.dropout_number(layer, ModelSpec::Dropped::probabilities), uint64_t(a.heads) << 32)};
}

AttentionShape shape(const Pass& p, int64_t layer) { return shape(p, layer, p.tokens.offsets, p.tokens.offsets, p.tokens.sequences); }

// Heads in the outputs of attention's linears, or in the outputs' gradients.
Heads heads_in(std::span<const Mat> outputs, const HeadView& v) { return {outputs[size_t(v.linear)], v.offset, v.group_stride, v.head_stride}; }

void rotate(const Pass& p, int64_t layer, const Heads& q, const Heads& k, bool inverse) {
  const AttentionSpec& a = p.model.block.attention;
  if (!a.kind(layer).rotates) return;
  const Rotary& r = p.rotary[a.kind_number(layer)];
  p.ops.rope({q, p.tokens.positions, r.cos, r.sin, a.heads, a.kv_heads, a.head_dim, a.rotary_dim, inverse, a.interleaved});
  p.ops.rope({k, p.tokens.positions, r.cos, r.sin, a.kv_heads, a.kv_heads, a.head_dim, a.rotary_dim, inverse, a.interleaved});
}

// The heads as inner_norm takes them: each alone, or all as one.
struct Normed {
  int64_t heads, groups, dim;
};
Normed normed(const AttentionSpec& a, int64_t heads) {
  if (a.norm_whole) return {1, 1, heads * a.head_dim};
  return {heads, a.kv_heads, a.head_dim};
}

void norm_heads(const Pass& p, const NormSpec& spec, const NormWeights& w, const Heads& x, const Heads& y, float* rstd, const Normed& n) {
  p.ops.inner_norm_fwd({.x = x,
                        .w = w.weight,
                        .eps = float(spec.eps),
                        .y = y,
                        .rstd = p.trains() ? rstd : nullptr,
                        .heads = n.heads,
                        .groups = n.groups,
                        .dim = n.dim,
                        .b = w.bias,
                        .centred = spec.centred,
                        .each = p.model.block.attention.norm_each});
}

// The keys or values of a text, (tokens so far, G*D), of one layer of its cache.
Mat cache_rows(const Pass& p, const CachedText& text, char* cache, int64_t layer) {
  const int64_t dim = p.model.block.attention.kv_dim();
  return Mat(cache + layer * text.cache.tokens * dim * dtype_bytes(p.act), p.act, text.keys, dim);
}

// Says that the next layer reads these texts' keys and values.
void announce(const Pass& p, int64_t layer) {
  if (!p.together() || layer + 1 == p.model.layers) return;
  const int64_t window = p.model.block.attention.kind(layer + 1).window;
  std::vector<Mat> rows;
  for (const CachedText& t : p.texts) {
    const int64_t past = t.keys - t.count, seen = window > 0 ? std::min(window, past) : past;
    for (char* const cache : {t.cache.k, t.cache.v}) rows.push_back(cache_rows(p, t, cache, layer + 1).slice(past - seen, seen));
  }
  int64_t beside = 0;  // from here to the next layer's attention
  for (const LinearWeights& l : p.weights.blocks[size_t(layer)].linears) beside += format_bytes(l.w.format, l.w.rows * l.w.cols);
  p.ops.will_read(rows, beside);
}

Heads slice(const Heads& h, int64_t first, int64_t count) { return {h.mat.slice(first, count), h.offset, h.group_stride, h.head_stride}; }

// The same as heads. The new tokens' heads (m rows) are copied into the last rows, where their linear did not write them there.
Heads with_cached(const Pass& p, const Heads& fresh, const Mat& cache) {
  const AttentionSpec& a = p.model.block.attention;
  const int64_t m = fresh.mat.rows, dim = a.head_dim;
  const Heads all{cache, 0, dim, dim}, last{cache.slice(cache.rows - m, m), 0, dim, dim};
  if (last.head(0, 0, dim).data == fresh.head(0, 0, dim).data) return all;  // they were written there
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

void Attention::place(Place& place, const AttentionSpec& spec, int64_t dim, const Rows& output) {
  for (size_t i = 0; i < spec.inputs.size(); i++) inputs_[i] = place.kept(spec.inputs[i].out);
  o_ = place.kept(spec.q_dim());
  lse_ = place.kept(spec.heads, DType::f32);
  if (spec.q_norm) q_ = place.kept(spec.q_dim()), q_rstd_ = place.kept(normed(spec, spec.heads).heads, DType::f32);
  if (spec.k_norm) k_ = place.kept(spec.kv_dim()), k_rstd_ = place.kept(normed(spec, spec.kv_heads).heads, DType::f32);
  residual_.place(place, spec.residual, dim, output);
}

Heads Attention::normed_q(const Pass& p) const {
  const AttentionSpec& a = p.model.block.attention;
  return {p.mat(q_), 0, a.q_dim() / a.kv_heads, a.head_dim};
}

Heads Attention::normed_k(const Pass& p) const {
  const int64_t dim = p.model.block.attention.head_dim;
  return {p.mat(k_), 0, dim, dim};
}

Attention::Mats Attention::mats(const Pass& p, const Rows (&rows)[kMostAttentionInputs]) const {
  Mats all;
  for (size_t i = 0; i < p.model.block.attention.inputs.size(); i++) all[i] = p.mat(rows[i]);
  return all;
}

void Attention::forward(const Pass& p, int64_t layer, const Linears& linears, const Mat& h, const Stream& stream) const {
  const AttentionSpec& spec = p.model.block.attention;
  const int64_t m = p.tokens.count;
  Mats outputs = mats(p, inputs_);
  Mat keys, values;
  if (p.texts.size() == 1) {  // its new keys and values are written into the cache at once
    keys = cache_rows(p, p.texts[0], p.texts[0].cache.k, layer);
    values = cache_rows(p, p.texts[0], p.texts[0].cache.v, layer);
    if (spec.has_linear(spec.k) && !spec.k_norm) outputs[size_t(spec.k.linear)] = keys.slice(keys.rows - m, m);
    if (spec.has_linear(spec.v)) outputs[size_t(spec.v.linear)] = values.slice(values.rows - m, m);
  }
  for (size_t i = 0; i < spec.inputs.size(); i++) linears.forward(p, layer, i, h, outputs[i], false);
  const auto& norms = p.weights.blocks[size_t(layer)].norms;
  Heads q = heads_in(outputs, spec.q), k = heads_in(outputs, spec.k);
  const Heads v = heads_in(outputs, spec.v);
  if (spec.q_norm) {
    const Heads to = normed_q(p);
    norm_heads(p, spec.q_norm, norms[BlockSpec::kQueryNorm], q, to, p.f32(q_rstd_), normed(spec, spec.heads));
    q = to;
  }
  if (spec.k_norm) {
    Heads to = normed_k(p);
    if (keys) to.mat = keys.slice(keys.rows - m, m);
    norm_heads(p, spec.k_norm, norms[BlockSpec::kKeyNorm], k, to, p.f32(k_rstd_), normed(spec, spec.kv_heads));
    k = to;
  }
  rotate(p, layer, q, k, false);
  const Mat o = p.mat(o_);
  std::vector<AttentionFwdArgs> each;
  for (const CachedText& t : p.texts) {
    const Heads all_k = with_cached(p, slice(k, t.first, t.count), cache_rows(p, t, t.cache.k, layer)),
                all_v = with_cached(p, slice(v, t.first, t.count), cache_rows(p, t, t.cache.v, layer));
    each.push_back({shape(p, layer, t.q_offsets, t.kv_offsets, 1), slice(q, t.first, t.count), all_k, all_v, o.slice(t.first, t.count), nullptr});
  }
  if (!each.empty()) p.ops.attention_fwd_of_each(each);
  else p.ops.attention_fwd({shape(p, layer), q, k, v, o, p.trains() ? p.f32(lse_) : nullptr});
  announce(p, layer);
  const Dropout dropout = p.base_dropout(spec.residual.dropout, layer, ModelSpec::Dropped::attention);
  linears.forward(p, layer, p.model.block.out(), o, residual_.output(p, spec.residual, dropout, stream), Residual::direct(spec.residual, dropout));
  residual_.add(p, spec.residual, norms[BlockSpec::kAttentionResidual], dropout, stream);
}

void Attention::backward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Stream& stream, const Mat& h, const Mat& dh,
                         bool accumulate) const {
  const AttentionSpec& spec = p.model.block.attention;
  const auto& norms = p.weights.blocks[size_t(layer)].norms;
  const bool goes_on = dh || reads_input(p, layer);
  const Dropout dropout = p.base_dropout(spec.residual.dropout, layer, ModelSpec::Dropped::attention);
  const Mat dy = residual_.gradient(p, spec.residual, norms[BlockSpec::kAttentionResidual], dropout, stream);
  const Mat o = p.mat(o_), d_o = p.mat(shared.d_o);
  linears.backward(p, layer, p.model.block.out(), std::array{dy}, o, goes_on ? d_o : Mat(), false);
  if (!goes_on) return;
  const Mats outputs = mats(p, inputs_), d_outputs = mats(p, shared.d_inputs);
  const Heads q = heads_in(outputs, spec.q), k = heads_in(outputs, spec.k), v = heads_in(outputs, spec.v);
  const Heads dq = heads_in(d_outputs, spec.q), dk = heads_in(d_outputs, spec.k), dv = heads_in(d_outputs, spec.v);
  const Heads seen_q = spec.q_norm ? normed_q(p) : q, seen_k = spec.k_norm ? normed_k(p) : k;
  p.ops.attention_bwd({shape(p, layer), seen_q, seen_k, v, o, d_o, p.f32(lse_), dq, dk, dv});
  rotate(p, layer, dq, dk, true);
  if (spec.q_norm) {
    const auto [heads, groups, dim] = normed(spec, spec.heads);
    p.ops.inner_norm_bwd({dq, q, norms[BlockSpec::kQueryNorm].weight, p.f32(q_rstd_), dq, heads, groups, dim, spec.q_norm.centred, spec.norm_each});
  }
  if (spec.k_norm) {
    const auto [heads, groups, dim] = normed(spec, spec.kv_heads);
    p.ops.inner_norm_bwd({dk, k, norms[BlockSpec::kKeyNorm].weight, p.f32(k_rstd_), dk, heads, groups, dim, spec.k_norm.centred, spec.norm_each});
  }
  linears.backward(p, layer, 0, std::span(d_outputs).first(spec.inputs.size()), h, dh, accumulate);
}

}  // namespace lowrank
