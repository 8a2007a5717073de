// A backend in a library of its own, which is opened at run time: the addon is built and runs without it.
#pragma once
#include <memory>

#include "ops/backends.h"

namespace lowrank {

// What the library's one exported function, `const DevicePlugin* lowrank_device_plugin()`, returns.
struct DevicePlugin {
  // Of the headers that both sides were compiled with (LOWRANK_INTERFACE, CMakeLists.txt). Nothing else is read where it differs.
  const char* interface;
  Devices (*devices)();
  // A backend on device `number`. Error E_DEVICE saying what is missing.
  std::unique_ptr<Backend> (*make)(int number);
  // Memory that both sides read and write, for tests. Error E_MEMORY
  Memory (*shared_memory)(int64_t bytes);
};
inline constexpr const char* kDevicePluginFactory = "lowrank_device_plugin";

// Opens a library. Error E_DEVICE where there is none, or it is of another version.
const DevicePlugin& open_plugin(const std::string& path);

}  // namespace lowrank
