// The devices of a machine: GPUs (gpu.cpp), or the emulation's one.
#pragma once
#include "cuda/device.h"
#include "ops/backends.h"

namespace lowrank::cuda {

Devices find_devices();
// Error E_DEVICE saying what is missing.
std::unique_ptr<Device> open_device(int number);
// Memory of the host (pinned) that the device reads and writes, too. Error E_MEMORY
Memory shared_memory(int64_t bytes);

}  // namespace lowrank::cuda
