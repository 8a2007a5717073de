#include "block/mlp.h"

#include <array>

namespace lowrank {

void Mlp::Shared::place(Place& place, const MlpSpec& spec) {
  a = place.buffer(spec.width());
  if (place.keeps()) da = place.buffer(spec.width());
}

void Mlp::place(Place& place, const MlpSpec& spec, int64_t dim, const Rows& output) {
  for (size_t i = 0; i < spec.inputs.size(); i++) inputs_[i] = place.kept(spec.inputs[i].out);
  residual_.place(place, spec.residual, dim, output);
}

Mat Mlp::gate(const Pass& p) const {
  const Mat first = p.mat(inputs_[0]);
  return Mat(first.data, first.dtype, first.rows, p.model.block.mlp.width(), first.ld);
}

Mat Mlp::up(const Pass& p) const {
  const MlpSpec& spec = p.model.block.mlp;
  if (!spec.fused()) return p.mat(inputs_[1]);
  const Mat both = p.mat(inputs_[0]);
  return Mat(both.row(0) + spec.width() * dtype_bytes(both.dtype), both.dtype, both.rows, spec.width(), both.ld);
}

void Mlp::forward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Mat& h, const Stream& stream) const {
  const BlockSpec& block = p.model.block;
  const MlpSpec& spec = block.mlp;
  const Mat g = gate(p), u = up(p), a = p.mat(shared.a);
  const size_t first = block.mlp_inputs(), last = block.down() - 1;
  // Of the values above up, the backward pass reads the input of down's adapter and the input of the norm.
  const bool ends = p.mode == Mode::recompute && !p.adapter.has(layer, block.down()) && !spec.residual.norm;
  // The product with up ends in SwiGLU where it can.
  const bool joined = !ends && !spec.fused() && spec.activation == Activation::silu;
  if (!spec.fused()) linears.forward(p, layer, first, h, g, false);
  if (joined) linears.forward(p, layer, last, h, u, false, g, a);
  else linears.forward(p, layer, last, h, spec.fused() ? p.mat(inputs_[0]) : u, false);
  if (ends) return;
  if (!joined) p.ops.swiglu_fwd({g, u, a, spec.activation});
  linears.forward(p, layer, block.down(), a, residual_.output(p, spec.residual, stream), spec.residual.direct());
  residual_.add(p, spec.residual, p.weights.blocks[size_t(layer)].norms[BlockSpec::kMlpResidual], stream);
}

void Mlp::backward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Stream& stream, const Mat& h, const Mat& dh) const {
  const BlockSpec& block = p.model.block;
  const MlpSpec& spec = block.mlp;
  const Mat g = gate(p), u = up(p), a = p.mat(shared.a), da = p.mat(shared.da);
  const Mat dy = residual_.gradient(p, spec.residual, p.weights.blocks[size_t(layer)].norms[BlockSpec::kMlpResidual], stream);
  // The input of down is computed again where down has an adapter.
  if (p.adapter.has(layer, block.down())) p.ops.swiglu_fwd({g, u, a, spec.activation});
  if (!spec.fused() && spec.activation == Activation::silu) {
    linears.backward(p, layer, block.down(), std::array{dy}, a, da, g, u);
  } else {
    linears.backward(p, layer, block.down(), std::array{dy}, a, da);
    p.ops.swiglu_bwd({da, g, u, g, u, spec.activation});
  }
  // Gate and up became their gradients.
  if (spec.fused()) linears.backward(p, layer, block.mlp_inputs(), std::array{p.mat(inputs_[0])}, h, dh);
  else linears.backward(p, layer, block.mlp_inputs(), std::array{g, u}, h, dh);
}

}  // namespace lowrank
