// The Node-API surface: convert arguments, check the state, enqueue. No maths here.
#include <malloc.h>
#include <napi.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "addon/convert.h"
#include "addon/lock.h"
#include "addon/mapped.h"
#include "addon/ranks.h"
#include "addon/spec.h"
#include "addon/values.h"
#include "addon/worker.h"
#include "model/finite.h"
#include "ops/backends.h"
#include "quant/dynamic_map.h"

namespace lowrank::addon {

namespace {

// Errors of synchronous functions become JavaScript exceptions with the same fields.
template <class F>
Napi::Value guard(Napi::Env env, F&& f) {
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    const Napi::Value error = to_js_error(env, std::current_exception());
    throw Napi::Error(env, error);
  }
}

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  return guard(info.Env(), [&] { return function(info); });
}

Napi::Value cpu_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guard(env, [&] {
    Napi::Object o = Napi::Object::New(env);
    const Processor found = processor();
    o.Set("isa", found.instruction_set);
    o.Set("available", strings(env, found.available));
    return o;
  });
}

// { found: [{ name, description, memoryBytes, freeBytes }], missing }
Napi::Value devices_found(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Devices all = devices();
  Napi::Array found = Napi::Array::New(env, all.found.size());
  for (uint32_t i = 0; i < all.found.size(); i++) {
    const Device& d = all.found[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("name", d.name);
    o.Set("description", d.description);
    o.Set("memoryBytes", double(d.memory));
    o.Set("freeBytes", double(d.free));
    found.Set(i, o);
  }
  Napi::Object o = Napi::Object::New(env);
  o.Set("found", found);
  o.Set("missing", all.missing);
  return o;
}

// Why there are no groups of ranks, or an empty text.
Napi::Value no_group(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), group_problem()); }

// Heaps of threads that have ended, or that pass their memory on to other threads, may be empty and still resident.
Napi::Value trim_heaps(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return info.Env().Undefined();
}

// Frees an ArrayBuffer's memory now, not when the collector comes to it; its views are empty from then on.
Napi::Value detach(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsArrayBuffer()) throw Napi::TypeError::New(info.Env(), "detach: expected an ArrayBuffer");
  info[0].As<Napi::ArrayBuffer>().Detach();
  return info.Env().Undefined();
}

// One tensor as it is quantised, for files: { codes, absmax, absmaxCodes?, absmaxOffset? }.
Napi::Value quantize(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guard(env, [&]() -> Napi::Value {
    const TensorEntry t = to_tensor(info[0]);
    if (t.shape.size() != 2 || t.quantize.format == Format::f32) throw Error("E_INTERNAL", "quantize: expected a matrix and how to store it.", t.name);
    check_tensor(t);
    const auto file = MappedFile::shared(t.file);
    if (t.offset > file->bytes() - t.bytes) throw Error("E_FILE", t.file + ": the file is cut short. Download it again.", t.file);
    ThreadPool pool(int(to_number(info[1], "threads")));
    Weight w{.data = file->data() + t.offset, .format = t.format, .rows = t.shape[t.transposed], .cols = t.shape[!t.transposed]};
    w.transposed = t.transposed;
    const QuantizedWeight q(w, t.quantize, pool);
    file->check_unchanged();
    file->release_pages(t.offset, t.bytes);
    const auto bytes = [&](const void* p, size_t n) {
      Napi::ArrayBuffer b = Napi::ArrayBuffer::New(env, n);
      std::memcpy(b.Data(), p, n);
      return b;
    };
    Napi::Object o = Napi::Object::New(env);
    o.Set("codes", bytes(q.codes().data(), q.codes().size()));
    o.Set("absmax", bytes(q.absmax().data(), q.absmax().size() * 4));
    if (q.absmax_codes().empty()) return o;
    o.Set("absmaxCodes", bytes(q.absmax_codes().data(), q.absmax_codes().size()));
    o.Set("absmaxOffset", double(q.view().absmax_offset));
    return o;
  });
}

// isFinite(tensor, threads): false where it holds NaN or infinity. Error E_FILE.
Napi::Value finite(const Napi::CallbackInfo& info) {
  const bool found = is_finite(to_tensor(info[0]), int(to_number(info[1], "threads")));
  return Napi::Boolean::New(info.Env(), found);
}

// Values of the codes of four bits, of the codes of their maxima, and of the codes of an 8-bit optimizer's moments.
Napi::Value quantization_maps(const Napi::CallbackInfo& info) {
  const auto array = [&](const float* p, size_t n) {
    Napi::Float32Array a = Napi::Float32Array::New(info.Env(), n);
    std::copy(p, p + n, a.Data());
    return a;
  };
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("nf4", array(kNf4Values, 16));
  o.Set("fp4", array(kFp4Values, 16));
  o.Set("dynamic", array(dynamic_map(), 256));
  o.Set("dynamicUnsigned", array(dynamic_map_unsigned(), 256));
  return o;
}

// Error where a tensor is missing, or is not as the description says.
Napi::Value check_model(const Napi::CallbackInfo& info) {
  check_source(to_source(info[0]));
  return info.Env().Undefined();
}

// The tensors of an adapter: an array of { name, shape }.
Napi::Value adapter_tensors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const AdapterLayout layout(to_spec(info[0]), to_adapter_spec(info[1]));
  Napi::Array list = Napi::Array::New(env, layout.tensors().size());
  for (uint32_t i = 0; i < layout.tensors().size(); i++) {
    const AdapterTensor& t = layout.tensors()[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("name", t.name);
    o.Set("shape", from_shape(env, t.rows, t.cols, t.is_vector));
    list.Set(i, o);
  }
  return list;
}

Napi::Value plan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guard(env, [&] {
    const ModelSource source = to_source(info[0]);
    const auto items = plan_memory(source, to_adapter_specs(info[1]), to_options(info[2]));
    Napi::Array list = Napi::Array::New(env, items.size());
    for (uint32_t i = 0; i < items.size(); i++) {
      Napi::Object o = Napi::Object::New(env);
      o.Set("name", items[i].name);
      o.Set("bytes", double(items[i].bytes));
      const MemoryPlace place = items[i].place;
      o.Set("place", place == MemoryPlace::mapped ? "mapped" : place == MemoryPlace::device ? "device" : "host");
      list.Set(i, o);
    }
    return list;
  });
}

}  // namespace

// The engine's state is touched by the worker's thread only; the JavaScript thread enqueues.
class EngineWrap : public Napi::ObjectWrap<EngineWrap> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Engine",
                       {InstanceMethod<&EngineWrap::open>("open"),
                        InstanceMethod<&EngineWrap::load_progress>("loadProgress"),
                        InstanceMethod<&EngineWrap::parameter_counts>("parameterCounts"),
                        InstanceMethod<&EngineWrap::add_adapter>("addAdapter"),
                        InstanceMethod<&EngineWrap::remove_adapter>("removeAdapter"),
                        InstanceMethod<&EngineWrap::forward_backward>("forwardBackward"),
                        InstanceMethod<&EngineWrap::optimizer_step>("optimizerStep"),
                        InstanceMethod<&EngineWrap::readings>("readings"), InstanceMethod<&EngineWrap::set_readings>("setReadings"),
                        InstanceMethod<&EngineWrap::evaluate>("evaluate"), InstanceMethod<&EngineWrap::logits>("logits"),
                        InstanceMethod<&EngineWrap::classify>("classify"),
                        InstanceMethod<&EngineWrap::gradients>("gradients"), InstanceMethod<&EngineWrap::adapter>("adapter"),
                        InstanceMethod<&EngineWrap::set_adapter>("setAdapter"),
                        InstanceMethod<&EngineWrap::optimizer_state>("optimizerState"),
                        InstanceMethod<&EngineWrap::set_optimizer_state>("setOptimizerState"),
                        InstanceMethod<&EngineWrap::generate_start>("generateStart"),
                        InstanceMethod<&EngineWrap::generate_next>("generateNext"),
                        InstanceMethod<&EngineWrap::generate_next_of>("generateNextOf"),
                        InstanceMethod<&EngineWrap::merged_weight>("mergedWeight"),
                        InstanceMethod<&EngineWrap::merged_bias>("mergedBias"),
                        InstanceMethod<&EngineWrap::join_group>("joinGroup"),
                        InstanceMethod<&EngineWrap::of_ranks<group_readings>>("group"),
                        InstanceMethod<&EngineWrap::of_ranks<sum_over_ranks>>("sumOverRanks"),
                        InstanceMethod<&EngineWrap::of_ranks<gather_texts>>("gatherTexts"),
                        InstanceMethod<&EngineWrap::of_ranks<share_adapter>>("shareAdapter"),
                        InstanceMethod<&EngineWrap::of_ranks<finish_group>>("finishGroup"),
                        InstanceMethod<&EngineWrap::abort_group>("abortGroup"),
                        InstanceMethod<&EngineWrap::profile>("profile"),
                        InstanceMethod<&EngineWrap::matmul_peak>("matmulPeak"),
                        InstanceMethod<&EngineWrap::close>("close")});
  }

  explicit EngineWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<EngineWrap>(info) {
    guard(info.Env(), [&] {
      worker_ = std::make_unique<Worker>(info.Env());
      return info.Env().Undefined();
    });
    napi_add_env_cleanup_hook(info.Env(), at_exit, this);
  }
  ~EngineWrap() override {
    if (!worker_) return;
    napi_remove_env_cleanup_hook(Env(), at_exit, this);
  }

 private:
  static void at_exit(void* self) {
    EngineWrap& wrap = *static_cast<EngineWrap*>(self);
    // The command in progress may wait for other ranks.
    if (Group* const group = wrap.group_) group->give_up();
    wrap.worker_.reset();
  }

  // Runs f(engine) on the engine's thread; the wrapper stays alive until then.
  template <class F>
  Napi::Value enqueue(const Napi::CallbackInfo& info, F f) {
    return post(info, [this, f = std::move(f)]() -> Result {
      if (!engine_) throw Error("E_CLOSED", closed_ ? "The engine is closed." : "The engine is not open.");
      if (damaged_) throw *damaged_;
      Result result;
      try {
        result = f(*engine_);
        engine_->check_files();
      } catch (const Error& e) {
        // A device or a group that failed does not come back, and a result of a file that changed is worth nothing.
        if (e.code == "E_DEVICE" || e.code == "E_GROUP" || e.code == "E_TIMEOUT" || e.code == "E_FILE_CHANGED") damaged_ = e;
        throw;
      }
      return result;
    });
  }

  Napi::Value post(const Napi::CallbackInfo& info, Work work) {
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

  // Converts arguments; an error in them rejects the promise instead of throwing.
  template <class F>
  Napi::Value convert(const Napi::CallbackInfo& info, F&& f) {
    try {
      return f();
    } catch (...) {
      auto deferred = Napi::Promise::Deferred::New(info.Env());
      deferred.Reject(to_js_error(info.Env(), std::current_exception()));
      return deferred.Promise();
    }
  }

  static void set_steps(AdapterSlot& slot, int64_t steps) {
    StepState s = slot.read();
    s.applied = steps;
    slot.write(s);
  }
  static Result number(double v) {
    return [v](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, v); };
  }
  static Result tensors(TensorMap t) {
    // Results are copied on their way to the JavaScript thread; tensors are too large for that.
    return [t = std::make_shared<TensorMap>(std::move(t))](Napi::Env env) { return from_tensors(env, std::move(*t)); };
  }

  Napi::Value open(const Napi::CallbackInfo& info) {
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
  Napi::Value load_progress(const Napi::CallbackInfo& info) {
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("quantized", double(progress_.quantized));
    o.Set("copied", double(progress_.copied));
    o.Set("toCopy", double(progress_.to_copy));
    return o;
  }

  Napi::Value parameter_counts(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [number = place(info, 0)](Engine& e) -> Result {
        const int64_t trainable = e.trainable_parameters(number);
        return [trainable, base = e.base_parameters()](Napi::Env env) -> Napi::Value {
          Napi::Object o = Napi::Object::New(env);
          o.Set("trainable", double(trainable));
          o.Set("total", double(base + trainable));
          return o;
        };
      });
    });
  }

  Napi::Value add_adapter(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [spec = to_adapter_spec(info[0])](Engine& e) { return number(e.add_adapter(spec)); });
    });
  }

  Napi::Value remove_adapter(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [number = place(info, 0)](Engine& e) -> Result {
        e.remove_adapter(number);
        return nullptr;
      });
    });
  }

  Napi::Value forward_backward(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      auto batch = to_batch(info[0]);
      const double scale = to_number(info[1], "lossScale");
      const auto stream = uint64_t(to_number(info[2], "rngStream"));
      const int adapter = place(info, 3);
      return enqueue(info, [batch = std::move(batch), scale, stream, adapter, is_last = info[4].ToBoolean().Value()](Engine& e) -> Result {
        e.forward_backward(batch, scale, stream, adapter, is_last);
        return nullptr;
      });
    });
  }

  Napi::Value optimizer_step(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      const auto options = to_optimizer(info[0]);
      return enqueue(info, [options, adapter = place(info, 1)](Engine& e) -> Result {
        e.optimizer_step(options, adapter);
        return nullptr;
      });
    });
  }

  Napi::Value readings(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [number = place(info, 0)](Engine& e) -> Result {
        return [s = e.adapter(number).read()](Napi::Env env) -> Napi::Value { return from_state(env, s); };
      });
    });
  }

  Napi::Value set_readings(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [change = to_state_change(info[0]), number = place(info, 1)](Engine& e) -> Result {
        AdapterSlot& slot = e.adapter(number);
        StepState s = slot.read();
        change(s);
        slot.write(s);
        return nullptr;
      });
    });
  }

  Napi::Value evaluate(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [batch = to_batch(info[0]), adapter = place(info, 1)](Engine& e) { return number(e.evaluate(batch, adapter)); });
    });
  }

  Napi::Value logits(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [batch = to_batch(info[0]), adapter = place(info, 1)](Engine& e) -> Result {
        return [values = e.logits(batch, adapter)](Napi::Env env) -> Napi::Value {
          Napi::Float32Array a = Napi::Float32Array::New(env, values.size());
          std::copy(values.begin(), values.end(), a.Data());
          return a;
        };
      });
    });
  }

  // { logits, loss }
  Napi::Value classify(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [batch = to_batch(info[0]), adapter = place(info, 1)](Engine& e) -> Result {
        return [found = e.classify(batch, adapter)](Napi::Env env) -> Napi::Value {
          Napi::Float32Array a = Napi::Float32Array::New(env, found.logits.size());
          std::copy(found.logits.begin(), found.logits.end(), a.Data());
          Napi::Object o = Napi::Object::New(env);
          o.Set("logits", a);
          o.Set("loss", found.loss);
          return o;
        };
      });
    });
  }

  Napi::Value gradients(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [number = place(info, 0)](Engine& e) {
        const AdapterSlot& slot = e.adapter(number);
        slot.expect_no_sums();
        return tensors(unflatten(slot.layout(), slot.gradients()));
      });
    });
  }

  Napi::Value adapter(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [number = place(info, 0)](Engine& e) {
        AdapterSlot& slot = e.adapter(number);
        return tensors(unflatten(slot.layout(), slot.parameters()));
      });
    });
  }

  Napi::Value set_adapter(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [t = to_tensors(info[0], "tensors"), number = place(info, 1)](Engine& e) -> Result {
        AdapterSlot& slot = e.adapter(number);
        flatten(slot.layout(), t, slot.parameters());
        return nullptr;
      });
    });
  }

  Napi::Value matmul_peak(const Napi::CallbackInfo& info) {
    return enqueue(info, [again = info[0].ToBoolean().Value()](Engine& e) -> Result {
      return [peak = e.matmul_peak(again)](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, peak); };
    });
  }

  template <EngineWork (*work)(const Napi::CallbackInfo&)>
  Napi::Value of_ranks(const Napi::CallbackInfo& info) {
    return convert(info, [&] { return enqueue(info, work(info)); });
  }

  // joinGroup(kind, timeout): waits for the others.
  Napi::Value join_group(const Napi::CallbackInfo& info) {
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
  Napi::Value abort_group(const Napi::CallbackInfo& info) {
    if (Group* const group = group_) group->abort();
    return info.Env().Undefined();
  }

  // { matmulPeak, names, events: f64 of (name's number, begin, seconds, flop) }
  Napi::Value profile(const Napi::CallbackInfo& info) {
    return enqueue(info, [](Engine& e) -> Result {
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
    });
  }

  Napi::Value optimizer_state(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [number = place(info, 0)](Engine& e) -> Result {
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
        return [step, m = std::make_shared<TensorMap>(unflatten(slot.layout(), slot.adam_m())),
                v = std::make_shared<TensorMap>(unflatten(slot.layout(), slot.adam_v()))](Napi::Env env) -> Napi::Value {
          Napi::Object o = Napi::Object::New(env);
          o.Set("step", double(step));
          o.Set("m", from_tensors(env, std::move(*m)));
          o.Set("v", from_tensors(env, std::move(*v)));
          return o;
        };
      });
    });
  }

  Napi::Value set_optimizer_state(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      if (!info[0].IsObject()) throw Error("E_ARGUMENT", "Argument state: expected an object.", "state");
      const Napi::Object o = info[0].As<Napi::Object>();
      const auto step = int64_t(to_number(o.Get("step"), "state.step"));
      const int number = place(info, 1);
      if (!o.Get("moments").IsUndefined()) {
        return enqueue(info, [step, number, moments = to_moments(o.Get("moments"))](Engine& e) -> Result {
          AdapterSlot& slot = e.adapter(number);
          write_moments(slot, moments);
          set_steps(slot, step);
          return nullptr;
        });
      }
      return enqueue(info, [step, number, m = to_tensors(o.Get("m"), "state.m"), v = to_tensors(o.Get("v"), "state.v")](Engine& e) -> Result {
        AdapterSlot& slot = e.adapter(number);
        flatten(slot.layout(), m, slot.adam_m());
        flatten(slot.layout(), v, slot.adam_v());
        set_steps(slot, step);
        return nullptr;
      });
    });
  }

  Napi::Value generate_start(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      const int adapter = place(info, 2), text = place(info, 3), like = info[4].IsUndefined() ? Engine::kNoText : place(info, 4);
      return enqueue(info, [prompt = to_int32s(info[0], "prompt"), sampling = to_sampling(info[1]), adapter, text, like](Engine& e) {
        return number(e.generate_start(prompt, sampling, adapter, text, like));
      });
    });
  }

  Napi::Value generate_next(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      const auto token = int32_t(to_number(info[0], "token"));
      return enqueue(info, [token, text = place(info, 1)](Engine& e) { return number(e.generate_next(token, text)); });
    });
  }

  Napi::Value generate_next_of(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      return enqueue(info, [texts = to_int32s(info[0], "texts"), tokens = to_int32s(info[1], "tokens")](Engine& e) -> Result {
        return [found = e.generate_next_of(texts, tokens)](Napi::Env env) -> Napi::Value {
          Napi::Int32Array array = Napi::Int32Array::New(env, found.size());
          std::copy(found.begin(), found.end(), array.Data());
          return array;
        };
      });
    });
  }

  Napi::Value merged_weight(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      const auto decoded = info[2].IsUndefined() ? std::nullopt : std::optional(dtype_of(to_format(to_string(info[2], "decoded"))));
      return enqueue(info, [module = to_string(info[0], "module"), adapter = place(info, 1), decoded](Engine& e) -> Result {
        return as_bytes(e.merged_weight(module, adapter, decoded));
      });
    });
  }

  Napi::Value merged_bias(const Napi::CallbackInfo& info) {
    return convert(info, [&] {
      const DType type = dtype_of(to_format(to_string(info[1], "dtype")));
      return enqueue(info, [module = to_string(info[0], "module"), type, adapter = place(info, 2)](Engine& e) -> Result {
        return as_bytes(e.merged_bias(module, type, adapter));
      });
    });
  }

  static Result as_bytes(std::vector<uint8_t>&& bytes) {
    return [bytes = std::move(bytes)](Napi::Env env) -> Napi::Value {
      Napi::Uint8Array a = Napi::Uint8Array::New(env, bytes.size());
      std::copy(bytes.begin(), bytes.end(), a.Data());
      return a;
    };
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    return post(info, [this]() -> Result {
      group_ = nullptr;
      engine_.reset();
      closed_ = true;
      return nullptr;
    });
  }

  std::unique_ptr<Engine> engine_;  // worker thread only
  std::atomic<Group*> group_ = nullptr;  // the engine's
  std::optional<Error> damaged_;    // worker thread only: a file of the engine was changed
  bool closed_ = false;             // worker thread only
  LoadProgress progress_;  // the worker's thread counts, the JavaScript thread looks
  std::unique_ptr<Worker> worker_;  // last, so that its thread ends before the engine goes
};

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("cpuInfo", Napi::Function::New(env, cpu_info));
  exports.Set("devices", Napi::Function::New(env, guarded<devices_found>));
  exports.Set("groupProblem", Napi::Function::New(env, guarded<no_group>));
  exports.Set("detach", Napi::Function::New(env, detach));
  exports.Set("trimHeaps", Napi::Function::New(env, trim_heaps));
  exports.Set("quantize", Napi::Function::New(env, quantize));
  exports.Set("isFinite", Napi::Function::New(env, guarded<finite>));
  exports.Set("quantizationMaps", Napi::Function::New(env, quantization_maps));
  exports.Set("checkModel", Napi::Function::New(env, guarded<check_model>));
  exports.Set("adapterTensors", Napi::Function::New(env, guarded<adapter_tensors>));
  exports.Set("planMemory", Napi::Function::New(env, plan));
  exports.Set("mapFile", Napi::Function::New(env, guarded<map_file>));
  exports.Set("copiedBytes", Napi::Function::New(env, guarded<copied_bytes>));
  exports.Set("mappedProblem", Napi::Function::New(env, guarded<mapped_problem>));
  exports.Set("lockFile", Napi::Function::New(env, guarded<lock_file>));
  exports.Set("unlockFile", Napi::Function::New(env, guarded<unlock_file>));
  exports.Set("releasePages", Napi::Function::New(env, guarded<release_pages>));
  exports.Set("Engine", EngineWrap::define(env));
  return exports;
}

}  // namespace

}  // namespace lowrank::addon

static Napi::Object register_addon(Napi::Env env, Napi::Object exports) { return lowrank::addon::init(env, exports); }
NODE_API_MODULE(lowrank, register_addon)
