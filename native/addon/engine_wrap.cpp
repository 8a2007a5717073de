#include "addon/engine_wrap.h"

#include "addon/generation.h"
#include "addon/profile.h"
#include "addon/ranks.h"
#include "addon/spec.h"
#include "addon/training.h"
#include "addon/values.h"

namespace lowrank::addon {

Napi::Function EngineWrap::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {InstanceMethod<&EngineWrap::open>("open"),
                      InstanceMethod<&EngineWrap::load_progress>("loadProgress"),
                      InstanceMethod<&EngineWrap::command<parameter_counts>>("parameterCounts"),
                      InstanceMethod<&EngineWrap::command<add_adapter>>("addAdapter"),
                      InstanceMethod<&EngineWrap::command<remove_adapter>>("removeAdapter"),
                      InstanceMethod<&EngineWrap::command<forward_backward>>("forwardBackward"),
                      InstanceMethod<&EngineWrap::command<optimizer_step>>("optimizerStep"),
                      InstanceMethod<&EngineWrap::command<readings>>("readings"),
                      InstanceMethod<&EngineWrap::command<set_readings>>("setReadings"),
                      InstanceMethod<&EngineWrap::command<evaluate>>("evaluate"),
                      InstanceMethod<&EngineWrap::command<logits>>("logits"),
                      InstanceMethod<&EngineWrap::command<classify>>("classify"),
                      InstanceMethod<&EngineWrap::command<gradients>>("gradients"),
                      InstanceMethod<&EngineWrap::command<adapter>>("adapter"),
                      InstanceMethod<&EngineWrap::command<set_adapter>>("setAdapter"),
                      InstanceMethod<&EngineWrap::command<optimizer_state>>("optimizerState"),
                      InstanceMethod<&EngineWrap::command<set_optimizer_state>>("setOptimizerState"),
                      InstanceMethod<&EngineWrap::command<generate_start>>("generateStart"),
                      InstanceMethod<&EngineWrap::command<generate_next>>("generateNext"),
                      InstanceMethod<&EngineWrap::command<generate_next_of>>("generateNextOf"),
                      InstanceMethod<&EngineWrap::command<merged_weight>>("mergedWeight"),
                      InstanceMethod<&EngineWrap::command<merged_bias>>("mergedBias"),
                      InstanceMethod<&EngineWrap::join_group>("joinGroup"),
                      InstanceMethod<&EngineWrap::command<join_devices>>("joinDevices"),
                      InstanceMethod<&EngineWrap::command<group_readings>>("group"),
                      InstanceMethod<&EngineWrap::command<sum_over_ranks>>("sumOverRanks"),
                      InstanceMethod<&EngineWrap::command<gather_texts>>("gatherTexts"),
                      InstanceMethod<&EngineWrap::command<share_adapter>>("shareAdapter"),
                      InstanceMethod<&EngineWrap::command<finish_group>>("finishGroup"),
                      InstanceMethod<&EngineWrap::abort_group>("abortGroup"),
                      InstanceMethod<&EngineWrap::command<profile>>("profile"),
                      InstanceMethod<&EngineWrap::command<matmul_peak>>("matmulPeak"),
                      InstanceMethod<&EngineWrap::command<trim>>("trim"),
                      InstanceMethod<&EngineWrap::command<device_plans>>("devicePlans"),
                      InstanceMethod<&EngineWrap::command<take_device_plans>>("takeDevicePlans"),
                      InstanceMethod<&EngineWrap::close>("close")});
}

EngineWrap::EngineWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineWrap>(info) {
  guard(info.Env(), [&] {
    worker_ = std::make_unique<Worker>(info.Env());
    return info.Env().Undefined();
  });
  napi_add_env_cleanup_hook(info.Env(), at_exit, this);
}

EngineWrap::~EngineWrap() {
  if (!worker_) return;
  napi_remove_env_cleanup_hook(Env(), at_exit, this);
}

void EngineWrap::at_exit(void* self) {
  EngineWrap& wrap = *static_cast<EngineWrap*>(self);
  // The command in progress may wait for other ranks.
  if (Group* const group = wrap.group_) group->give_up();
  wrap.worker_.reset();
}

Napi::Value EngineWrap::enqueue(const Napi::CallbackInfo& info, EngineWork work) {
  return post(info, [this, work = std::move(work)]() -> Result {
    if (!engine_) throw Error("E_CLOSED", closed_ ? "The engine is closed." : "The engine is not open.");
    if (damaged_) throw *damaged_;
    Result result;
    try {
      result = work(*engine_);
      engine_->check_files();
    } catch (const Error& e) {
      // A device or a group that failed does not come back, and a result of a file that changed is worth nothing.
      if (e.code == "E_DEVICE" || e.code == "E_GROUP" || e.code == "E_TIMEOUT" || e.code == "E_FILE_CHANGED") damaged_ = e;
      throw;
    }
    return result;
  });
}

Napi::Value EngineWrap::post(const Napi::CallbackInfo& info, Work work) {
  const Napi::Env env = info.Env();
  auto self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(Value()));
  self->SuppressDestruct();
  return worker_->post(env, [work = std::move(work), self]() -> Result {
    // The reference is dropped on the JavaScript thread, also when the work fails.
    std::exception_ptr thrown;
    Result result;
    try {
      result = work();
    } catch (...) {
      thrown = std::current_exception();
    }
    return [self, result, thrown](Napi::Env e) -> Napi::Value {
      self->Reset();
      if (thrown) std::rethrow_exception(thrown);
      return result ? result(e) : e.Undefined();
    };
  });
}

template <class F>
Napi::Value EngineWrap::convert(const Napi::CallbackInfo& info, F&& f) {
  try {
    return f();
  } catch (...) {
    auto deferred = Napi::Promise::Deferred::New(info.Env());
    deferred.Reject(to_js_error(info.Env(), std::current_exception()));
    return deferred.Promise();
  }
}

template <EngineWork (*work)(const Napi::CallbackInfo&)>
Napi::Value EngineWrap::command(const Napi::CallbackInfo& info) {
  return convert(info, [&] { return enqueue(info, work(info)); });
}

Napi::Value EngineWrap::open(const Napi::CallbackInfo& info) {
  return convert(info, [&] {
    auto source = to_source(info[0]);
    auto adapters = to_adapter_specs(info[1]);
    const auto options = to_options(info[2]);
    return post(info, [this, source = std::move(source), adapters = std::move(adapters), options]() -> Result {
      if (engine_ || closed_) throw Error("E_STATE", "The engine was opened before.");
      engine_ = std::make_unique<Engine>(source, adapters, options, progress_);
      return nullptr;
    });
  });
}

// { quantized, copied, toCopy }
Napi::Value EngineWrap::load_progress(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("quantized", double(progress_.quantized));
  o.Set("copied", double(progress_.copied));
  o.Set("toCopy", double(progress_.to_copy));
  return o;
}

// joinGroup(kind, timeout): waits for the others.
Napi::Value EngineWrap::join_group(const Napi::CallbackInfo& info) {
  return convert(info, [&] {
    const auto limit = std::chrono::seconds(int64_t(to_number(info[1], "timeout")));
    return enqueue(info, [this, kind = to_string(info[0], "kind"), limit](Engine& e) -> Result {
      e.join(make_group(kind));
      e.group().set_limit(limit);
      group_ = &e.group();
      return nullptr;
    });
  });
}

// Ends all ranks at once. The one call of a group by another thread than the engine's, which may be waiting for them.
Napi::Value EngineWrap::abort_group(const Napi::CallbackInfo& info) {
  if (Group* const group = group_) group->abort();
  return info.Env().Undefined();
}

Napi::Value EngineWrap::close(const Napi::CallbackInfo& info) {
  return convert(info, [&] {
    return post(info, [this]() -> Result {
      group_ = nullptr;
      engine_.reset();
      closed_ = true;
      return nullptr;
    });
  });
}

}  // namespace lowrank::addon
