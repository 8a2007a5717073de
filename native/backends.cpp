#include "ops/backends.h"

#include <cstdlib>

#include "base/plugin_file.h"
#include "cpu/cpu.h"
#include "cuda/device_memory.h"
#include "cuda/switches.h"
#include "cuda/workspace.h"
#include "ops/plugin.h"

namespace lowrank {

namespace {

constexpr PluginFile kPlugin = {.library = "liblowrank_cuda.so",
                                .named = "LOWRANK_CUDA_PLUGIN",
                                .factory = kDevicePluginFactory,
                                .is_global = false,
                                .code = "E_DEVICE",
                                .where = "device",
                                .what = "CUDA backend",
                                .needs = "nvcc",
                                .page = "docs/cuda.md"};

bool is_cpu(const std::string& device) { return device == "cpu"; }

int number_of(const std::string& device) {
  const std::string prefix = "cuda:";
  const std::string number = device.starts_with(prefix) ? device.substr(prefix.size()) : "";
  if (number.empty() || number.size() > 3 || number.find_first_not_of("0123456789") != std::string::npos) {
    throw Error("E_DEVICE", "There is no device called \"" + device + "\": devices are cpu, cuda:0, cuda:1 and so on.", "device");
  }
  return std::atoi(number.c_str());
}

}  // namespace

const DevicePlugin& open_plugin(const std::string& path) {
  return *static_cast<const DevicePlugin*>(open_plugin_file(kPlugin, path, LOWRANK_INTERFACE));
}

std::unique_ptr<Backend> make_backend(const std::string& device, int threads) {
  if (is_cpu(device)) return make_cpu_backend(threads, cpu_default_instruction_set());
  const int number = number_of(device);
  return open_plugin(plugin_path(kPlugin)).make(number);
}

int64_t workspace_bytes(const OpLimits& limits, const std::string& device, int threads) {
  if (is_cpu(device)) return cpu_workspace_bytes(limits, threads, cpu_default_instruction_set());
  number_of(device);
  return cuda::workspace_bytes(limits, cuda::Switches::of_environment());
}

int64_t resident_columns(int64_t rows, int64_t cols, DType act, const AdapterColumns& columns, const std::string& device) {
  return is_cpu(device) ? cols : cuda::resident_columns(rows, cols, act, columns, cuda::Switches::of_environment());
}

std::vector<MemoryItem> device_items(const OpLimits& limits, const PassSize& size, const std::string& device) {
  return is_cpu(device) ? std::vector<MemoryItem>() : cuda::device_items(limits, size, cuda::Switches::of_environment());
}

int64_t allocation_rest(int64_t bytes, const std::string& device) { return is_cpu(device) ? 0 : cuda::allocation_rest(bytes); }

MemoryPlace memory_place(const std::string& device) { return is_cpu(device) ? MemoryPlace::host : MemoryPlace::device; }

Devices devices() {
  try {
    return open_plugin(plugin_path(kPlugin)).devices();
  } catch (const Error& e) {
    return {{}, e.what()};
  }
}

Processor processor() { return {cpu_default_instruction_set(), cpu_instruction_sets()}; }

}  // namespace lowrank
