// Locks on files, as values that hold them.
#pragma once
#include <napi.h>

namespace lowrank::addon {

// lockFile(path): a lock (given up by unlockFile, when it is collected, or with its thread or process), "held", "unsupported", or the
// number of the system's error.
Napi::Value lock_file(const Napi::CallbackInfo&);
// unlockFile(lock): gives it up; of a lock that was given up before nothing happens.
Napi::Value unlock_file(const Napi::CallbackInfo&);

}  // namespace lowrank::addon
