#include "addon/worker.h"

#include <chrono>
#include <new>
#include <stdexcept>
#include <system_error>

#include "base/error.h"

namespace lowrank::addon {

Napi::Value to_js_error(Napi::Env env, const std::exception_ptr& thrown) {
  const auto make = [&](const std::string& code, const std::string& message, const std::string& where) {
    Napi::Error error = Napi::Error::New(env, message);
    error.Set("code", code);
    if (!where.empty()) error.Set("where", where);
    return error.Value();
  };
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& e) {
    return make(e.code, e.what(), e.where);
  } catch (const Napi::Error& e) {
    return e.Value();
  } catch (const std::length_error&) {
    return make("E_MEMORY", "This would take more memory than any system has. Use a smaller batch size or sequence length.", "");
  } catch (const std::bad_alloc&) {
    return make("E_MEMORY", "The system has no memory left. Use a smaller batch size or sequence length.", "");
  } catch (const std::exception& e) {
    return make("E_INTERNAL", e.what(), "");
  }
}

namespace {

void settle(Napi::Env env, const Napi::Promise::Deferred& deferred, const Result& result, const std::exception_ptr& thrown) {
  Napi::Value value;
  std::exception_ptr failure = thrown;
  if (!failure) {
    try {
      value = result ? result(env) : env.Undefined();
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) deferred.Reject(to_js_error(env, failure));
  else deferred.Resolve(value);
}

}  // namespace

Worker::Worker(Napi::Env env)
    : settle_(Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "lowrank", 0, 1)) {
  settle_.Unref(env);  // an idle engine does not keep the process alive
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& e) {
    settle_.Release();
    throw Error("E_THREADS", std::string("The system starts no more threads (") + e.code().message() + "). Close engines that are not needed.");
  }
}

Worker::~Worker() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  settle_.Release();
}

Napi::Promise Worker::post(Napi::Env env, Work work) {
  auto deferred = Napi::Promise::Deferred::New(env);
  const Napi::Promise promise = deferred.Promise();
  if (pending_++ == 0) settle_.Ref(env);
  {
    std::lock_guard lock(mutex_);
    queue_.push_back({std::move(work), deferred});
  }
  wake_.notify_one();
  return promise;
}

void Worker::tell(const Napi::Promise::Deferred& deferred, const Result& result, const std::exception_ptr& thrown) {
  settle_.NonBlockingCall([this, deferred, result, thrown](Napi::Env env, Napi::Function) {
    try {
      if (--pending_ == 0) settle_.Unref(env);
      settle(env, deferred, result, thrown);
    } catch (const Napi::Error&) {
      // The environment is being torn down and takes no more values: there is nobody to tell.
    }
  });
}

void Worker::run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();

    Result result;
    std::exception_ptr thrown;
    try {
      result = job.work();
    } catch (...) {
      thrown = std::current_exception();
    }
    // A promise is settled whatever happens: where there is no memory for that, once there is.
    for (bool is_told = false; !is_told;) {
      try {
        tell(job.deferred, result, thrown);
        is_told = true;
      } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  }
}

}  // namespace lowrank::addon
