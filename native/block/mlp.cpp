#include "block/mlp.h"

#include <array>

namespace lowrank {

void Mlp::Shared::place(Place& place, const MlpSpec& spec) {
  a = place.buffer(spec.up.out);
  if (place.keeps()) da = place.buffer(spec.up.out);
}

void Mlp::place(Place& place, const MlpSpec& spec) {
  g_ = place.kept(spec.up.out);
  u_ = place.kept(spec.up.out);
}

void Mlp::forward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Mat& h, const Mat& stream) const {
  const BlockSpec& block = p.model.block;
  const Mat g = p.mat(g_), u = p.mat(u_), a = p.mat(shared.a);
  linears.forward(p, layer, block.gate(), h, g, false);
  if (p.mode == Mode::recompute && !p.adapter.has(layer, block.down())) return linears.forward(p, layer, block.up(), h, u, false);
  linears.forward(p, layer, block.up(), h, u, false, g, a);
  linears.forward(p, layer, block.down(), a, stream, true);
}

void Mlp::backward(const Pass& p, int64_t layer, const Linears& linears, const Shared& shared, const Mat& dy, const Mat& h, const Mat& dh) const {
  const BlockSpec& block = p.model.block;
  const Mat g = p.mat(g_), u = p.mat(u_), a = p.mat(shared.a), da = p.mat(shared.da);
  // SwiGLU's output is computed again where down has an adapter.
  if (p.adapter.has(layer, block.down())) p.ops.swiglu_fwd({g, u, a});
  linears.backward(p, layer, block.down(), std::array{dy}, a, da, g, u);
  const Mat dg = g, du = u;
  linears.backward(p, layer, block.gate(), std::array{dg, du}, h, dh);
}

}  // namespace lowrank
