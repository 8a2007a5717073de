#include "addon/ranks.h"

#include <algorithm>

#include "addon/convert.h"
#include "addon/values.h"

namespace lowrank::addon {

EngineWork group_readings(const Napi::CallbackInfo&) {
  return [](Engine& e) -> Result {
    const Group& g = e.group();
    const DeviceSums& d = e.device_sums();
    return [rank = g.rank(), size = g.size(), waited = g.waited(), on_device = d.reducer != nullptr, about = d.about](Napi::Env env) -> Napi::Value {
      Napi::Object o = Napi::Object::New(env);
      o.Set("rank", rank);
      o.Set("size", size);
      o.Set("waited", waited);
      o.Set("sumsOnDevice", on_device);
      o.Set("aboutSums", about);
      return o;
    };
  };
}

EngineWork join_devices(const Napi::CallbackInfo&) {
  return [](Engine& e) -> Result {
    e.join_devices();
    return nullptr;
  };
}

EngineWork sum_over_ranks(const Napi::CallbackInfo& info) {
  return [values = to_doubles(info[0], "values")](Engine& e) -> Result {
    std::vector<double> sums = values;
    e.group().sum(sums.data(), int64_t(sums.size()));
    return [sums](Napi::Env env) -> Napi::Value {
      Napi::Float64Array a = Napi::Float64Array::New(env, sums.size());
      std::copy(sums.begin(), sums.end(), a.Data());
      return a;
    };
  };
}

EngineWork gather_texts(const Napi::CallbackInfo& info) {
  return [text = to_string(info[0], "text")](Engine& e) -> Result {
    return [all = e.group().gather(text)](Napi::Env env) -> Napi::Value { return strings(env, all); };
  };
}

EngineWork share_adapter(const Napi::CallbackInfo& info) {
  return [number = place(info, 0)](Engine& e) -> Result {
    e.adapter(number).share(e.group());
    return nullptr;
  };
}

EngineWork finish_group(const Napi::CallbackInfo&) {
  return [](Engine& e) -> Result {
    e.leave();
    return nullptr;
  };
}

}  // namespace lowrank::addon
