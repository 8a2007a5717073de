#include "addon/profile.h"

#include "addon/values.h"

#include <map>
#include <string>

namespace lowrank::addon {

EngineWork profile(const Napi::CallbackInfo&) {
  return [](Engine& e) -> Result {
    return [peak = e.matmul_peak(true), events = e.take_profile()](Napi::Env env) -> Napi::Value {
      std::map<std::string, double> numbers;
      Napi::Array names = Napi::Array::New(env);
      Napi::Float64Array rows = Napi::Float64Array::New(env, events.size() * 4);
      for (size_t i = 0; i < events.size(); i++) {
        const auto [it, is_new] = numbers.emplace(events[i].name, double(numbers.size()));
        if (is_new) names.Set(uint32_t(it->second), events[i].name);
        rows[i * 4] = it->second;
        rows[i * 4 + 1] = events[i].begin;
        rows[i * 4 + 2] = events[i].seconds;
        rows[i * 4 + 3] = events[i].flop;
      }
      Napi::Object o = Napi::Object::New(env);
      o.Set("matmulPeak", peak);
      o.Set("names", names);
      o.Set("events", rows);
      return o;
    };
  };
}

EngineWork matmul_peak(const Napi::CallbackInfo& info) {
  return [again = info[0].ToBoolean().Value()](Engine& e) { return as_number(e.matmul_peak(again)); };
}

EngineWork trim(const Napi::CallbackInfo&) {
  return [](Engine& e) -> Result {
    e.trim();
    return nullptr;
  };
}

EngineWork device_plans(const Napi::CallbackInfo&) {
  return [](Engine& e) -> Result {
    return [text = e.plans()](Napi::Env env) -> Napi::Value { return Napi::String::New(env, text); };
  };
}

EngineWork take_device_plans(const Napi::CallbackInfo& info) {
  return [text = to_string(info[0], "plans")](Engine& e) -> Result {
    return [why = e.take_plans(text)](Napi::Env env) -> Napi::Value { return Napi::String::New(env, why); };
  };
}

}  // namespace lowrank::addon
