// Counting and printing of results.
#pragma once
#include <string>

#include "operations.h"

namespace lowrank::test {

class Report {
 public:
  void pass() { passed_++; }
  void fail(const std::string& label, const std::string& message);
  // A check without a case table behind it.
  void expect(bool ok, const std::string& label, const std::string& message = "does not hold") {
    ok ? pass() : fail(label, message);
  }

  // The counts of another process.
  void add(int64_t passed, int64_t failed) {
    passed_ += passed;
    failed_ += failed;
  }

  int64_t passed() const { return passed_; }
  int64_t failed() const { return failed_; }

 private:
  int64_t passed_ = 0, failed_ = 0;
};

// Compares the outputs of a run with the twin's. Says in words the first fault, and how many elements are wrong.
// Empty: nothing is wrong.
std::string compare(const Slots&, const Memory& twin, const Memory& tested, const Bounds&);

// |error| / allowed error of the worst element, for judging how sharp the bounds are.
double worst_ratio(const Slots&, const Memory& twin, const Memory& tested, const Bounds&);

}  // namespace lowrank::test
