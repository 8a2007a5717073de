// Sums over ranks on their GPUs, over NCCL.
#pragma once
#include "cuda/device.h"
#include "group/group.h"
#include "ops/backend.h"

namespace lowrank::cuda {

// All ranks of the group call it. It has a reducer on all of them, or on none: where one has no NCCL or another version of it, or two share a GPU.
DeviceSums join_over_nccl(Device&, Group&);

}  // namespace lowrank::cuda
