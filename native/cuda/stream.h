// A queue of a device: what is enqueued runs in order.
#pragma once

namespace lowrank::cuda {

using Stream = void*;

// Whether this thread launches no kernels: its products are planned alone (CudaBackend::plan).
extern thread_local bool plans_only;

// Error E_DEVICE where the launch before was refused.
void check_launch(const char* kernel);

}  // namespace lowrank::cuda
