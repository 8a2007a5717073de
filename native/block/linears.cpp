#include "block/linears.h"

#include <algorithm>
#include <string>

namespace lowrank {

namespace {

const AdapterSite& site(const Pass& p, int64_t layer, size_t linear) {
  return p.adapter.layout.sites()[size_t(p.adapter.layout.index(layer, linear))];
}

Lora lora(const Pass& p, int64_t layer, size_t linear) {
  const auto& [layout, spec, parameters, gradients, norms, factors] = p.adapter;
  const int i = layout.index(layer, linear);
  const AdapterSite& s = site(p, layer, linear);
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
    const uint64_t row = uint64_t(s.in);
    const bool is_read = layer == p.model.layers;  // the rows of what head or classifier reads alone
    l.dropout = p.mask(spec.dropout, streams::kAdapterDropout + uint64_t(i), layout.sites().size(), is_read ? 0 : row, is_read ? row : 0);
    if (spec.freezes_half) l.undropped = s.rank / 2;  // it stands for a part of the base
  }
  return l;
}

// The frozen half of PiSSA and OLoRA as an adapter of its own, of an input that the mask has passed: the other half reads zeros.
Lora frozen_half(Lora l) {
  l.dropout.p = 1;
  return l;
}

// Such as "q_proj".
std::string short_name(const LinearSpec& l) { return l.module.substr(l.module.rfind('.') + 1); }

}  // namespace

void Linears::Shared::place(Place& place, const ModelSpec& model, const AdapterSizes& adapters) {
  int64_t out = 0, in = 0;
  model.each_linear([&](int64_t, size_t, const LinearSpec& linear) {
    out = std::max(out, linear.out);
    in = std::max(in, linear.in);
  });
  if (!place.keeps()) {
    u = place.kept(adapters.rank);
    if (adapters.dora) z = place.kept(out);
  } else if (adapters.dropped_dora) {
    masked = place.buffer(in);
    part = place.buffer(in);
    frozen_u = place.buffer(adapters.rank);
  }
}

void Linears::place(Place& place, const std::vector<const LinearSpec*>& linears, std::span<const int64_t> ranks, bool dora, const Shared& shared) {
  masked_ = shared.masked;
  part_ = shared.part;
  frozen_u_ = shared.frozen_u;
  for (size_t i = 0; i < linears.size(); i++) {
    if (!place.keeps()) {  // of the adapters of every layer, which all use this block
      u_[i] = shared.u;
      z_[i] = shared.z;
    } else if (ranks[i] > 0) {
      u_[i] = place.kept(ranks[i]);
      if (dora) z_[i] = place.kept(linears[i]->out);
    }
  }
}

void Linears::forward(const Pass& p, int64_t layer, size_t linear, const Mat& x, const Mat& y, bool accumulate, const Mat& gate, const Mat& a) const {
  const LinearWeights& w = p.weights.linear_at(layer, linear);
  LinearFwdArgs args{.x = x, .w = w.w, .bias = w.bias, .lora = nullptr, .u = {}, .y = y, .accumulate = accumulate, .gate = gate, .a = a, .together = p.together(), .same_x = p.model.shares_input(layer, linear)};
  if (p.ops.observed()) p.ops.about(short_name(*p.model.linears(layer)[linear]));
  if (!p.adapter.has(layer, linear)) return p.ops.linear_fwd(args);
  const AdapterSite& s = site(p, layer, linear);
  const Lora l = lora(p, layer, linear);
  args.lora = &l;
  args.u = u(p, linear, x.rows, l.rank);
  if (s.magnitude_offset < 0 && s.bias_offset < 0) return p.ops.linear_fwd(args);
  args.gate = args.a = Mat();
  if (s.magnitude_offset >= 0 && l.dropout.active()) {
    dropped_forward(p, layer, linear, l, args);
    if (gate) p.ops.glu_fwd({gate, y, a});
    return;
  }
  ColumnsFwdArgs columns{.z = {}, .bias = p.adapter.parameters + s.bias_offset, .bias_scale = s.scale, .y = y, .accumulate = true};
  if (s.magnitude_offset >= 0) {
    args.y = z(p, linear, x.rows, s.out);
    args.bias = nullptr;
    args.accumulate = false;
    columns = {.z = args.y, .factor = p.adapter.factors + s.first_output, .bias = w.bias, .y = y, .accumulate = accumulate};
  }
  p.ops.linear_fwd(args);
  p.ops.columns_fwd(columns);
  if (gate) p.ops.glu_fwd({gate, y, a});
}

void Linears::dropped_forward(const Pass& p, int64_t layer, size_t linear, const Lora& lora, const LinearFwdArgs& all) const {
  const int64_t rows = all.x.rows;
  const Mat masked = p.mat(masked_, rows, all.w.cols);
  Lora own = lora;
  own.dropout = {};
  p.ops.dropout({all.x, masked, lora.dropout});
  LinearFwdArgs part{.x = masked, .w = all.w, .lora = &own, .u = all.u, .y = z(p, linear, rows, all.w.rows)};
  p.ops.linear_fwd(part);
  p.ops.columns_fwd({.z = part.y, .factor = p.adapter.factors + site(p, layer, linear).first_output, .bias = all.bias, .y = all.y, .accumulate = all.accumulate});
  p.ops.dropout({.x = all.x, .y = masked, .dropout = lora.dropout, .rest = true});
  part = {.x = masked, .w = all.w, .u = {}, .y = all.y, .accumulate = true};
  own = frozen_half(lora);
  if (lora.undropped > 0) {
    part.lora = &own;
    part.u = p.mat(frozen_u_, rows, lora.rank);
  }
  p.ops.linear_fwd(part);
}

void Linears::dropped_backward(const Pass& p, int64_t layer, size_t linear, const Mat& dy, const Mat& x, const Mat& dx, bool accumulate) const {
  const Lora all = lora(p, layer, linear);
  const int64_t rows = x.rows;
  const Mat masked = p.mat(masked_, rows, x.cols), part = dx ? p.mat(part_, rows, x.cols) : Mat();
  const Weight& w = p.weights.linear_at(layer, linear).w;
  Lora own = all;
  own.dropout = {};
  p.ops.dropout({x, masked, all.dropout});
  p.ops.linear_bwd({.dy = z(p, linear, rows, w.rows), .x = masked, .w = w, .lora = &own, .u = u(p, linear, rows, all.rank), .dx = part});
  if (!dx) return;
  p.ops.dropout({.x = part, .y = dx, .dropout = all.dropout, .accumulate = accumulate});
  LinearBwdArgs rest{.dy = dy, .x = {}, .w = w, .u = {}, .dx = part};
  own = frozen_half(all);
  if (all.undropped > 0) {  // its gradients do not count
    rest.x = masked;
    rest.lora = &own;
    rest.u = p.mat(frozen_u_, rows, all.rank);
    p.ops.zero({rest.u});
  }
  p.ops.linear_bwd(rest);
  p.ops.dropout({.x = part, .y = dx, .dropout = all.dropout, .rest = true, .accumulate = true});
}

void Linears::backward(const Pass& p, int64_t layer, size_t first, std::span<const Mat> dys, const Mat& x, const Mat& dx, bool accumulate, const Mat& gate,
                       const Mat& up) const {
  LinearBwdArgs args[kMostLinears];
  Lora loras[kMostLinears];
  size_t n = 0;
  std::string names;
  for (size_t linear = first; linear < first + dys.size(); linear++) {
    Mat dy = dys[linear - first];
    const bool adapted = p.adapter.has(layer, linear);
    if (p.ops.observed()) names += (names.empty() ? "" : ", ") + short_name(*p.model.linears(layer)[linear]);
    if (!dx && !adapted) continue;
    if (adapted) {
      const AdapterSite& s = site(p, layer, linear);
      ColumnsBwdArgs columns{.dy = dy, .z = {}, .bias_scale = s.scale};
      if (s.bias_offset >= 0) columns.dbias = p.adapter.gradients + s.bias_offset;
      if (s.magnitude_offset >= 0) {
        columns.z = z(p, linear, x.rows, s.out);
        columns.factor = p.adapter.factors + s.first_output;
        columns.norm = p.adapter.norms + s.first_output;
        columns.dmagnitude = p.adapter.gradients + s.magnitude_offset;
      }
      if (columns.z || columns.dbias) p.ops.columns_bwd(columns);
      if (columns.z && p.trains() && p.adapter.spec.dropout > 0) {
        dropped_backward(p, layer, linear, dy, x, dx, accumulate);
        accumulate = true;
        continue;
      }
      if (columns.z) dy = columns.z;
    }
    LinearBwdArgs& a = args[n];
    a = {.dy = dy, .x = x, .w = p.weights.linear_at(layer, linear).w, .u = {}, .dx = dx, .accumulate = accumulate, .gate = gate, .up = up};
    if (adapted) {
      loras[n] = lora(p, layer, linear);
      a.lora = &loras[n];
      a.u = u(p, linear, x.rows, loras[n].rank);
    }
    const uint64_t linears = uint64_t(p.model.block.linears().size());
    a.numbers = p.mask(0, streams::kGradientCodes + uint64_t(layer) * linears + linear, uint64_t(p.model.layers) * linears, uint64_t(dy.cols));
    if (n > 0) args[n - 1].also = &a;
    n++;
  }
  // One product has all terms in codes, or none.
  const auto in_codes = [](const LinearBwdArgs& a) { return a.w.gradient_codes != GradientCodes::none; };
  if (!std::all_of(args, args + n, in_codes)) {
    for (LinearBwdArgs& a : args) a.w.gradient_codes = GradientCodes::none;
  }
  p.ops.about(names);
  args[0].accumulate = accumulate;
  if (n > 0) p.ops.linear_bwd(args[0]);
  else if (gate && dx) p.ops.glu_bwd({dx, gate, up, gate, up});
}

}  // namespace lowrank
