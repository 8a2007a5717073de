// The class `Engine` of the addon.
#pragma once
#include <napi.h>

#include <atomic>
#include <memory>
#include <optional>

#include "addon/engine_work.h"

namespace lowrank::addon {

// The engine's state is touched by the worker's thread only; the JavaScript thread enqueues.
class EngineWrap : public Napi::ObjectWrap<EngineWrap> {
 public:
  static Napi::Function define(Napi::Env);

  explicit EngineWrap(const Napi::CallbackInfo&);
  ~EngineWrap() override;

 private:
  static void at_exit(void* self);

  // Runs the work on the engine's thread; the wrapper stays alive until then.
  Napi::Value enqueue(const Napi::CallbackInfo&, EngineWork);
  Napi::Value post(const Napi::CallbackInfo&, Work);
  // Converts arguments; an error in them rejects the promise instead of throwing.
  template <class F>
  Napi::Value convert(const Napi::CallbackInfo&, F&&);
  // A command that needs the engine alone.
  template <EngineWork (*work)(const Napi::CallbackInfo&)>
  Napi::Value command(const Napi::CallbackInfo&);

  Napi::Value open(const Napi::CallbackInfo&);
  Napi::Value load_progress(const Napi::CallbackInfo&);
  Napi::Value join_group(const Napi::CallbackInfo&);
  Napi::Value abort_group(const Napi::CallbackInfo&);
  Napi::Value close(const Napi::CallbackInfo&);

  std::unique_ptr<Engine> engine_;       // worker thread only
  std::atomic<Group*> group_ = nullptr;  // the engine's
  std::optional<Error> damaged_;         // worker thread only: a file of the engine was changed
  bool closed_ = false;                  // worker thread only
  LoadProgress progress_;                // the worker's thread counts, the JavaScript thread looks
  std::unique_ptr<Worker> worker_;       // last, so that its thread ends before the engine goes
};

}  // namespace lowrank::addon
