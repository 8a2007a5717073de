#include "block/linears.h"

#include <string>

namespace lowrank {

namespace {

Lora lora(const Pass& p, int64_t layer, size_t linear) {
  const auto& [layout, spec, parameters, gradients] = p.adapter;
  const int i = layout.index(layer, linear);
  const AdapterSite& s = layout.sites()[size_t(i)];
  Lora l;
  l.a = parameters + s.a_offset;
  l.b = parameters + s.b_offset;
  if (gradients) {
    l.da = gradients + s.a_offset;
    l.db = gradients + s.b_offset;
  }
  l.rank = s.rank;
  l.scale = s.scale;
  if (p.trains() && spec.dropout > 0) {
    // Rows are numbered within the micro-batch: masks do not depend on the pieces.
    l.dropout = {float(spec.dropout), spec.seed, p.rng_stream * layout.sites().size() + uint64_t(i), uint64_t(p.tokens.first * s.in)};
  }
  return l;
}

// Such as "q_proj".
std::string short_name(const LinearSpec& l) { return l.module.substr(l.module.rfind('.') + 1); }

}  // namespace

void Linears::place(Place& place, std::span<const int64_t> ranks, const Rows& shared) {
  for (size_t i = 0; i < ranks.size(); i++) {
    if (!place.keeps()) u_[i] = shared;  // of the adapters of every layer, which all use this block
    else if (ranks[i] > 0) u_[i] = place.kept(ranks[i]);
  }
}

void Linears::forward(const Pass& p, int64_t layer, size_t linear, const Mat& x, const Mat& y, bool accumulate, const Mat& gate, const Mat& a) const {
  const LinearWeights& w = p.weights.blocks[size_t(layer)].linears[linear];
  LinearFwdArgs args{.x = x, .w = w.w, .bias = w.bias, .lora = nullptr, .u = {}, .y = y, .accumulate = accumulate, .gate = gate, .a = a};
  Lora l;
  if (p.adapter.has(layer, linear)) {
    l = lora(p, layer, linear);
    args.lora = &l;
    args.u = u(p, linear, l.rank);
  }
  if (p.ops.observed()) p.ops.about(short_name(*p.model.block.linears()[linear]));
  p.ops.linear_fwd(args);
}

void Linears::backward(const Pass& p, int64_t layer, size_t first, std::span<const Mat> dys, const Mat& x, const Mat& dx, const Mat& gate, const Mat& up) const {
  LinearBwdArgs args[kMostLinears];
  Lora loras[kMostLinears];
  size_t n = 0;
  std::string names;
  for (size_t linear = first; linear < first + dys.size(); linear++) {
    const Mat& dy = dys[linear - first];
    const bool adapted = p.adapter.has(layer, linear);
    if (p.ops.observed()) names += (names.empty() ? "" : ", ") + short_name(*p.model.block.linears()[linear]);
    if (!dx && !adapted) continue;
    LinearBwdArgs& a = args[n];
    a = {.dy = dy, .x = x, .w = p.weights.blocks[size_t(layer)].linears[linear].w, .u = {}, .dx = dx, .gate = gate, .up = up};
    if (adapted) {
      loras[n] = lora(p, layer, linear);
      a.lora = &loras[n];
      a.u = u(p, linear, loras[n].rank);
    }
    if (n > 0) args[n - 1].also = &a;
    n++;
  }
  p.ops.about(names);
  if (n > 0) p.ops.linear_bwd(args[0]);
}

}  // namespace lowrank
