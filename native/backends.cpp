#include "ops/backends.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "cpu/cpu.h"
#include "cuda/workspace.h"
#include "ops/plugin.h"

namespace lowrank {

namespace {

constexpr const char* kLibrary = "liblowrank_cuda.so";

// Beside the library or program that this code is in.
std::string beside(const char* name) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&beside), &info) || !info.dli_fname) return name;
  const std::string here = info.dli_fname;
  const size_t slash = here.rfind('/');
  return slash == std::string::npos ? name : here.substr(0, slash + 1) + name;
}

// LOWRANK_CUDA_PLUGIN names another build of it.
std::string plugin_path() {
  const char* const named = std::getenv("LOWRANK_CUDA_PLUGIN");
  return named && *named ? named : beside(kLibrary);
}

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
  const auto fail = [](const std::string& what) { throw Error("E_DEVICE", what, "device"); };
  if (access(path.c_str(), F_OK) != 0) {
    fail("This build has no CUDA backend: " + path + " is not there. Build it where nvcc is, as docs/cuda.md says.");
  }
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays open: its code may be in use to the end
  if (!library) fail("The CUDA backend could not be loaded: " + std::string(dlerror()));
  const auto factory = reinterpret_cast<DevicePluginFactory>(dlsym(library, kDevicePluginFactory));
  const DevicePlugin* const plugin = factory ? factory() : nullptr;
  if (!plugin) fail(path + " is no backend of lowrank.");
  if (std::strcmp(plugin->interface, LOWRANK_INTERFACE) != 0) {
    fail(path + " was built for another version of lowrank. Build it again (docs/cuda.md).");
  }
  return *plugin;
}

std::unique_ptr<Backend> make_backend(const std::string& device, int threads) {
  if (is_cpu(device)) return make_cpu_backend(threads, cpu_default_instruction_set());
  const int number = number_of(device);
  return open_plugin(plugin_path()).make(number);
}

int64_t workspace_bytes(const OpLimits& limits, const std::string& device, int threads) {
  if (is_cpu(device)) return cpu_workspace_bytes(limits, threads, cpu_default_instruction_set());
  number_of(device);
  return cuda::workspace_bytes(limits);
}

MemoryPlace memory_place(const std::string& device) { return is_cpu(device) ? MemoryPlace::host : MemoryPlace::device; }

Devices devices() {
  try {
    return open_plugin(plugin_path()).devices();
  } catch (const Error& e) {
    return {{}, e.what()};
  }
}

Processor processor() { return {cpu_default_instruction_set(), cpu_instruction_sets()}; }

}  // namespace lowrank
