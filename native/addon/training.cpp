#include "addon/training.h"

#include <memory>

#include "addon/values.h"

namespace lowrank::addon {

EngineWork parameter_counts(const Napi::CallbackInfo& info) {
  return [number = place(info, 0)](Engine& e) -> Result {
    const int64_t trainable = e.trainable_parameters(number);
    return [trainable, base = e.base_parameters()](Napi::Env env) -> Napi::Value {
      Napi::Object o = Napi::Object::New(env);
      o.Set("trainable", double(trainable));
      o.Set("total", double(base + trainable));
      return o;
    };
  };
}

EngineWork add_adapter(const Napi::CallbackInfo& info) {
  return [spec = to_adapter_spec(info[0])](Engine& e) { return as_number(e.add_adapter(spec)); };
}

EngineWork remove_adapter(const Napi::CallbackInfo& info) {
  return [number = place(info, 0)](Engine& e) -> Result {
    e.remove_adapter(number);
    return nullptr;
  };
}

EngineWork forward_backward(const Napi::CallbackInfo& info) {
  Batch batch = to_batch(info[0]);
  const double scale = to_number(info[1], "lossScale");
  const auto stream = uint64_t(to_number(info[2], "rngStream"));
  const int number = place(info, 3);
  return [batch = std::move(batch), scale, stream, number, is_last = info[4].ToBoolean().Value()](Engine& e) -> Result {
    e.forward_backward(batch, scale, stream, number, is_last);
    return nullptr;
  };
}

EngineWork optimizer_step(const Napi::CallbackInfo& info) {
  return [options = to_optimizer(info[0]), number = place(info, 1)](Engine& e) -> Result {
    e.optimizer_step(options, number);
    return nullptr;
  };
}

EngineWork readings(const Napi::CallbackInfo& info) {
  return [number = place(info, 0)](Engine& e) -> Result {
    return [s = e.adapter(number).read()](Napi::Env env) -> Napi::Value { return from_state(env, s); };
  };
}

EngineWork set_readings(const Napi::CallbackInfo& info) {
  return [change = to_state_change(info[0]), number = place(info, 1)](Engine& e) -> Result {
    AdapterSlot& slot = e.adapter(number);
    StepState s = slot.read();
    change(s);
    slot.write(s);
    return nullptr;
  };
}

EngineWork evaluate(const Napi::CallbackInfo& info) {
  return [batch = to_batch(info[0]), number = place(info, 1)](Engine& e) { return as_number(e.evaluate(batch, number)); };
}

EngineWork logits(const Napi::CallbackInfo& info) {
  return [batch = to_batch(info[0]), number = place(info, 1)](Engine& e) { return as_floats(e.logits(batch, number)); };
}

EngineWork classify(const Napi::CallbackInfo& info) {
  return [batch = to_batch(info[0]), number = place(info, 1)](Engine& e) -> Result {
    Engine::Classified found = e.classify(batch, number);
    return [logits = as_floats(std::move(found.logits)), loss = found.loss](Napi::Env env) -> Napi::Value {
      Napi::Object o = Napi::Object::New(env);
      o.Set("logits", logits(env));
      o.Set("loss", loss);
      return o;
    };
  };
}

EngineWork gradients(const Napi::CallbackInfo& info) {
  return [number = place(info, 0)](Engine& e) {
    const AdapterSlot& slot = e.adapter(number);
    slot.expect_no_sums();
    return as_tensors(unflatten(slot.layout(), slot.gradients()));
  };
}

EngineWork adapter(const Napi::CallbackInfo& info) {
  return [number = place(info, 0)](Engine& e) {
    AdapterSlot& slot = e.adapter(number);
    return as_tensors(unflatten(slot.layout(), slot.parameters()));
  };
}

EngineWork set_adapter(const Napi::CallbackInfo& info) {
  return [t = to_tensors(info[0], "tensors"), number = place(info, 1)](Engine& e) -> Result {
    AdapterSlot& slot = e.adapter(number);
    flatten(slot.layout(), t, slot.parameters());
    return nullptr;
  };
}

EngineWork optimizer_state(const Napi::CallbackInfo& info) {
  return [number = place(info, 0)](Engine& e) -> Result {
    AdapterSlot& slot = e.adapter(number);
    const int64_t step = slot.read().applied;
    if (slot.has_8bit_moments()) {
      return [step, moments = std::make_shared<MomentMap>(read_moments(slot))](Napi::Env env) -> Napi::Value {
        Napi::Object o = Napi::Object::New(env);
        o.Set("step", double(step));
        o.Set("moments", from_moments(env, *moments));
        return o;
      };
    }
    return [step, m = as_tensors(unflatten(slot.layout(), slot.adam_m())), v = as_tensors(unflatten(slot.layout(), slot.adam_v()))](Napi::Env env) -> Napi::Value {
      Napi::Object o = Napi::Object::New(env);
      o.Set("step", double(step));
      o.Set("m", m(env));
      o.Set("v", v(env));
      return o;
    };
  };
}

namespace {

void set_steps(AdapterSlot& slot, int64_t steps) {
  StepState s = slot.read();
  s.applied = steps;
  slot.write(s);
}

}  // namespace

EngineWork set_optimizer_state(const Napi::CallbackInfo& info) {
  if (!info[0].IsObject()) throw Error("E_ARGUMENT", "Argument state: expected an object.", "state");
  const Napi::Object o = info[0].As<Napi::Object>();
  const auto step = int64_t(to_number(o.Get("step"), "state.step"));
  const int number = place(info, 1);
  if (!o.Get("moments").IsUndefined()) {
    return [step, number, moments = to_moments(o.Get("moments"))](Engine& e) -> Result {
      AdapterSlot& slot = e.adapter(number);
      write_moments(slot, moments);
      set_steps(slot, step);
      return nullptr;
    };
  }
  return [step, number, m = to_tensors(o.Get("m"), "state.m"), v = to_tensors(o.Get("v"), "state.v")](Engine& e) -> Result {
    AdapterSlot& slot = e.adapter(number);
    flatten(slot.layout(), m, slot.adam_m());
    flatten(slot.layout(), v, slot.adam_v());
    set_steps(slot, step);
    return nullptr;
  };
}

}  // namespace lowrank::addon
