// A queue of a device: what is enqueued runs in order.
#pragma once

namespace lowrank::cuda {

using Stream = void*;

// Error E_DEVICE where the launch before was refused.
void check_launch(const char* kernel);

}  // namespace lowrank::cuda
