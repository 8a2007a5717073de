// The library's face: what native/backends.cpp opens.
#include "ops/plugin.h"

#include "cuda/cuda_backend.h"
#include "cuda/system.h"

namespace {

using namespace lowrank;

std::unique_ptr<Backend> make(int number) { return std::make_unique<cuda::CudaBackend>(cuda::open_device(number)); }

constexpr DevicePlugin kPlugin = {LOWRANK_INTERFACE, cuda::find_devices, make, cuda::shared_memory};

}  // namespace

extern "C" __attribute__((visibility("default"))) const DevicePlugin* lowrank_device_plugin() { return &kPlugin; }
