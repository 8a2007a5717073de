#include "block/mlp.h"

#include <array>

namespace lowrank {

namespace {
Dropout dropout_of(const Pass& p, int64_t layer) {
  const BlockSpec& block = p.model.block;
  return p.base_dropout(block.mlp.residual.dropout, layer, block.shares_mask ? ModelSpec::Dropped::attention : ModelSpec::Dropped::mlp);
}
// The products with up and down end in SwiGLU.
bool joins(const MlpSpec& spec) { return spec.inputs.size() > 1 && spec.activation == Activation::silu; }
}  // namespace

void Mlp::Shared::place(Place& place, const MlpSpec& spec) {
  a = place.buffer(spec.width());
  if (place.keeps()) da = place.buffer(spec.width());
}

void Mlp::place(Place& place, const MlpSpec& spec, int64_t dim, const Rows& output) {
  for (size_t i = 0; i < spec.inputs.size(); i++) inputs_[i] = place.kept(spec.inputs[i].out);
  residual_.place(place, spec.residual, dim, output);
}

Mat Mlp::argument(const Pass& p) const {
  const Mat first = p.mat(inputs_[0]);
  return Mat(first.data, first.dtype, first.rows, p.model.block.mlp.width(), first.ld);
}

Mat Mlp::factor(const Pass& p) const {
  const MlpSpec& spec = p.model.block.mlp;
  if (!spec.gated()) return Mat();
  if (spec.inputs.size() > 1) return p.mat(inputs_[1]);
  const Mat both = p.mat(inputs_[0]);
  return Mat(both.row(0) + spec.width() * dtype_bytes(both.dtype), both.dtype, both.rows, spec.width(), both.ld);
}

void Mlp::forward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Mat& h, const Stream& stream) const {
  const BlockSpec& block = p.model.block;
  const MlpSpec& spec = block.mlp;
  const Mat argument = this->argument(p), factor = this->factor(p), a = p.mat(shared.a);
  const size_t first = block.mlp_inputs(), last = block.down() - 1;
  // Of the values above up, the backward pass reads the input of down's adapter and the inputs of the norms.
  const bool ends = p.mode == Mode::recompute && !p.adapter.has(layer, block.down()) && !spec.residual.norm && !spec.residual.after;
  const bool joined = !ends && joins(spec);
  if (last > first) linears.forward(p, layer, first, h, argument, false);
  if (joined) linears.forward(p, layer, last, h, factor, false, argument, a);
  else linears.forward(p, layer, last, h, p.mat(inputs_[last - first]), false);
  if (ends) return;
  if (!joined) p.ops.glu_fwd({argument, factor, a, spec.activation});
  const Dropout dropout = dropout_of(p, layer);
  linears.forward(p, layer, block.down(), a, residual_.output(p, spec.residual, dropout, stream), Residual::direct(spec.residual, dropout));
  residual_.add(p, spec.residual, p.weights.blocks[size_t(layer)].norms[BlockSpec::kMlpResidual], dropout, stream);
}

void Mlp::backward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Stream& stream, const Mat& h, const Mat& dh) const {
  const BlockSpec& block = p.model.block;
  const MlpSpec& spec = block.mlp;
  const Mat argument = this->argument(p), factor = this->factor(p), a = p.mat(shared.a), da = p.mat(shared.da);
  const Mat dy = residual_.gradient(p, spec.residual, p.weights.blocks[size_t(layer)].norms[BlockSpec::kMlpResidual], dropout_of(p, layer), stream);
  // Down's input is computed again where down has an adapter.
  if (p.adapter.has(layer, block.down())) p.ops.glu_fwd({argument, factor, a, spec.activation});
  if (!dh && !reads_input(p, layer)) return linears.backward(p, layer, block.down(), std::array{dy}, a, Mat(), false);
  // The outputs become their gradients.
  if (joins(spec)) {
    linears.backward(p, layer, block.down(), std::array{dy}, a, da, false, argument, factor);
  } else {
    linears.backward(p, layer, block.down(), std::array{dy}, a, da, false);
    p.ops.glu_bwd({da, argument, factor, argument, factor, spec.activation});
  }
  const std::array inputs{p.mat(inputs_[0]), spec.inputs.size() > 1 ? p.mat(inputs_[1]) : Mat()};
  linears.backward(p, layer, block.mlp_inputs(), std::span(inputs).first(spec.inputs.size()), h, dh, false);
}

}  // namespace lowrank
