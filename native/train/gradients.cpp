#include "train/gradients.h"

#include "base/error.h"

namespace lowrank {

void Gradients::fit(int64_t elements) {
  if (elements <= elements_) return;
  Arena larger;
  larger.reserve("gradients", bytes(elements));
  larger.commit(backend_.allocate(larger.total_bytes()));  // zero-filled
  if (owner_) backend_.cast({Mat(at(), DType::f32, 1, elements_), Mat(larger.at<float>(0), DType::f32, 1, elements_)});
  arena_ = std::move(larger);
  elements_ = elements;
}

float* Gradients::of(const AdapterSlot& slot) const {
  if (owner_ && owner_ != &slot) throw Error("E_STATE", "Another adapter's step is in progress: its optimizerStep comes first.");
  return at();
}

void Gradients::begin(const AdapterSlot& slot) {
  of(slot);
  owner_ = &slot;
}

void Gradients::drop(const AdapterSlot& slot) {
  if (owner_ != &slot) return;
  backend_.zero({Mat(at(), DType::f32, 1, elements_)});
  end();
}

}  // namespace lowrank
