#include "addon/lock.h"

#include <memory>

#include "addon/values.h"
#include "base/error.h"
#include "io/file_lock.h"

namespace lowrank::addon {

namespace {

using Held = std::unique_ptr<FileLock>;

}  // namespace

Napi::Value lock_file(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto attempt = FileLock::take(to_string(info[0], "path"));
  switch (attempt.outcome) {
    case FileLock::Outcome::held: return Napi::String::New(env, "held");
    case FileLock::Outcome::unsupported: return Napi::String::New(env, "unsupported");
    case FileLock::Outcome::failed: return Napi::Number::New(env, attempt.error);
    case FileLock::Outcome::taken: break;
  }
  auto held = std::make_unique<Held>(std::move(attempt.lock));
  const auto value = Napi::External<Held>::New(env, held.get(), [](Napi::Env, Held* h) { delete h; });
  static_cast<void>(held.release());
  return value;
}

Napi::Value unlock_file(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) throw Error("E_ARGUMENT", "Argument lock: expected a lock of lockFile.", "lock");
  info[0].As<Napi::External<Held>>().Data()->reset();
  return info.Env().Undefined();
}

}  // namespace lowrank::addon
