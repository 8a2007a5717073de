#include "train/moment_layout.h"

#include "base/arena.h"
#include "quant/moments.h"

namespace lowrank {

MomentLayout::MomentLayout(const AdapterLayout& adapters) {
  const auto take = [&](int64_t bytes) {
    const int64_t at = bytes_;
    bytes_ += Arena::aligned(bytes);
    return at;
  };
  for (const AdapterTensor& t : adapters.tensors()) {
    const int64_t elements = t.elements();
    // Those of embeddings stay in f32, as transformers has it.
    MomentPart p{t.name, t.offset, elements, elements >= kLeast8bitElements && t.role != AdapterTensor::Role::embedding, (elements + kMomentBlock - 1) / kMomentBlock, 0, 0, 0, 0};
    const int64_t each = p.is_8bit ? 1 : 4;
    p.m = take(elements * each);
    p.v = take(elements * each);
    if (p.is_8bit) {
      p.m_max = take(p.blocks * 4);
      p.v_max = take(p.blocks * 4);
    }
    parts_.push_back(std::move(p));
  }
}

}  // namespace lowrank
