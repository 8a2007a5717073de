// A plugin of other headers.
#include "ops/plugin.h"

namespace {
constexpr lowrank::DevicePlugin kPlugin = {"other headers", nullptr, nullptr, nullptr};
}

extern "C" __attribute__((visibility("default"))) const lowrank::DevicePlugin* lowrank_device_plugin() { return &kPlugin; }
