// The codes of errors.
#pragma once
#include <string>

#include "base/error.h"

namespace lowrank::test {

// The error's code, or an empty string where the call succeeds.
template <class F>
std::string code_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code;
  }
  return "";
}

}  // namespace lowrank::test
