#include "cuda/lanes.h"

namespace lowrank::cuda {

static_assert(2 * kLanes == Device::kEvents);

void Lanes::copy(Lane lane, const void* from, int64_t bytes, void* to) {
  device_.await(released(lane), Device::Queue::copies);
  device_.copy_beside(from, bytes, to);
  device_.mark(copied(lane), Device::Queue::copies);
}

void Lanes::release(Lane lane) { device_.mark(released(lane), Device::Queue::operations); }
void Lanes::acquire(Lane lane) { device_.await(copied(lane), Device::Queue::operations); }
void Lanes::wait(Lane lane) { device_.await(copied(lane)); }

}  // namespace lowrank::cuda
