// One thread and one queue of commands: the engine's work happens there, promises are settled on the JavaScript thread.
#pragma once
#include <napi.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace lowrank::addon {

// Builds a command's result on the JavaScript thread.
using Result = std::function<Napi::Value(Napi::Env)>;
// A command's work on the engine's thread. May throw; Error crosses as {code, message, where}.
using Work = std::function<Result()>;

class Worker {
 public:
  explicit Worker(Napi::Env);
  ~Worker();  // drops the queued commands, waits for the command in progress

  Napi::Promise post(Napi::Env, Work);

 private:
  struct Job {
    Work work;
    Napi::Promise::Deferred deferred;
  };
  void run();
  // Has the promise settled on the JavaScript thread.
  void tell(const Napi::Promise::Deferred&, const Result&, const std::exception_ptr& thrown);

  Napi::ThreadSafeFunction settle_;
  int pending_ = 0;  // JavaScript thread only: the process stays alive while it is positive
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  bool stop_ = false;
  std::thread thread_;
};

// The JavaScript error of a thrown exception: {code, message, where}.
Napi::Value to_js_error(Napi::Env, const std::exception_ptr&);

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

}  // namespace lowrank::addon
