// The gradients of an engine's step in progress. An adapter has them from its first micro-batch to the end of its step: adapters that train in turn
// need the memory of the largest one's alone.
#pragma once
#include "base/arena.h"
#include "ops/backend.h"

namespace lowrank {

class AdapterSlot;

class Gradients {
 public:
  explicit Gradients(Backend& backend) : backend_(backend) {}

  static int64_t bytes(int64_t elements) { return elements * int64_t(sizeof(float)); }
  // Room for so many f32; those of a step in progress stay. Error E_MEMORY.
  void fit(int64_t elements);

  // The adapter's, all zero where no step is in progress. Error E_STATE where the step in progress is another adapter's.
  float* of(const AdapterSlot&) const;
  // The step in progress is this adapter's from now on. Error E_STATE as above.
  void begin(const AdapterSlot&);
  // The step is over, and the gradients are zero again.
  void end() { owner_ = nullptr; }
  // A step in progress of this adapter will not end.
  void drop(const AdapterSlot&);

 private:
  float* at() const { return arena_.at<float>(0); }

  Backend& backend_;
  Arena arena_;
  int64_t elements_ = 0;
  const AdapterSlot* owner_ = nullptr;
};

}  // namespace lowrank
